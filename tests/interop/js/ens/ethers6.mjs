// ethers 6: walks the registry, or asks the universal resolver for the resolver when it is given one.
import { Contract, EnsPlugin, Interface, JsonRpcProvider, Network, dnsEncode, ensNormalize, namehash } from "ethers6";
import { serve } from "./serve.mjs";

const PROFILES = [
  "function resolve(bytes, bytes) view returns (bytes)",
  "function addr(bytes32, uint256) view returns (bytes)",
  "function text(bytes32, string) view returns (string)",
  "function contenthash(bytes32) view returns (bytes)",
  "function multicall(bytes[]) view returns (bytes[])",
];

let provider;

async function resolverOf(name) {
  const resolver = await provider.getResolver(ensNormalize(name));
  if (resolver === null) throw new Error("no resolver");
  return resolver;
}

// Its own getContentHash gives URLs and getAddress(0) prefers the EVM coin, so raw values are asked for by hand.
async function raw(name, profile, ...args) {
  const resolver = await resolverOf(name);
  const contract = new Contract(resolver.address, PROFILES, provider);
  const node = profile === "multicall" ? [] : [namehash(ensNormalize(name))];
  if (!(await resolver.supportsWildcard())) return contract[profile].staticCall(...node, ...args);
  const data = contract.interface.encodeFunctionData(profile, [...node, ...args]);
  const wire = dnsEncode(ensNormalize(name), 255);
  const result = await contract.resolve(wire, data, { enableCcipRead: true });
  return contract.interface.decodeFunctionResult(profile, result)[0];
}

serve({
  open: (world) => {
    const network = new Network("local", world.chainId);
    network.attachPlugin(new EnsPlugin(world.registry, world.chainId, world.universalResolver));
    provider = new JsonRpcProvider(world.rpcUrl, network, { staticNetwork: network, cacheTimeout: -1 });
  },
  addr: async ({ name }) => (await resolverOf(name)).getAddress(),
  coin: ({ name, coin }) => raw(name, "addr", coin),
  text: async ({ name, key }) => (await resolverOf(name)).getText(key),
  contenthash: ({ name }) => raw(name, "contenthash"),
  multitext: async ({ name, keys }) => {
    const node = namehash(ensNormalize(name));
    const { interface: abi } = new Contract("0x" + "00".repeat(20), PROFILES);
    const calls = keys.map((key) => abi.encodeFunctionData("text", [node, key]));
    const results = await raw(name, "multicall", calls);
    return results.map((result) => abi.decodeFunctionResult("text", result)[0]);
  },
  profiles: async ({ name, calls }) => {
    const node = namehash(ensNormalize(name));
    const made = calls.map(({ signature, args }) => ({ abi: new Interface([signature]), args: [node, ...args] }));
    const data = made.map(({ abi, args }) => abi.encodeFunctionData(abi.fragments[0], args));
    const read = ({ abi }, bytes) =>
      [...abi.decodeFunctionResult(abi.fragments[0], bytes)].map((each) => String(each).toLowerCase());
    const contract = new Contract((await resolverOf(name)).address, PROFILES, provider);
    const wire = dnsEncode(ensNormalize(name), 255);
    const many = data.length > 1;
    const call = many ? contract.interface.encodeFunctionData("multicall", [data]) : data[0];
    const result = await contract.resolve(wire, call, { enableCcipRead: true });
    const results = many ? contract.interface.decodeFunctionResult("multicall", result)[0] : [result];
    return results.map((each, index) => read(made[index], each));
  },
  resolver: async ({ name }) => (await resolverOf(name)).address,
  reverse: ({ address }) => provider.lookupAddress(address),
});
