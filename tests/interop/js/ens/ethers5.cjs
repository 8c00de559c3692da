// ethers 5: walks the registry, knows ENSIP-10 and ERC-3668, no universal resolver; wallets of that generation.
"use strict";

const { ethers } = require("ethers5");
const { serve } = require("./serve.cjs");

const MULTICALL = new ethers.utils.Interface([
  "function resolve(bytes, bytes) view returns (bytes)",
  "function text(bytes32, string) view returns (string)",
  "function multicall(bytes[]) view returns (bytes[])",
]);

let provider;

async function resolverOf(name) {
  const resolver = await provider.getResolver(name);
  if (resolver === null) throw new Error("no resolver");
  return resolver;
}

async function call(to, data) {
  return provider.call({ to, data, ccipReadEnabled: true }, "latest");
}

serve({
  open: (world) => {
    provider = new ethers.providers.StaticJsonRpcProvider(world.rpcUrl, {
      name: "local",
      chainId: world.chainId,
      ensAddress: world.registry,
    });
  },
  addr: async ({ name }) => (await resolverOf(name)).getAddress(),
  coin: async ({ name, coin }) =>
    (await resolverOf(name))._fetchBytes("0xf1cb7e06", ethers.utils.hexZeroPad(ethers.utils.hexlify(coin), 32)),
  text: async ({ name, key }) => (await resolverOf(name)).getText(key),
  contenthash: async ({ name }) => (await resolverOf(name))._fetchBytes("0xbc1c58d1"),
  multitext: async ({ name, keys }) => {
    const resolver = await resolverOf(name);
    const node = ethers.utils.namehash(name);
    const calls = keys.map((key) => MULTICALL.encodeFunctionData("text", [node, key]));
    let data = MULTICALL.encodeFunctionData("multicall", [calls]);
    const wildcard = await resolver.supportsWildcard();
    if (wildcard) data = MULTICALL.encodeFunctionData("resolve", [ethers.utils.dnsEncode(name), data]);
    let result = await call(resolver.address, data);
    if (wildcard) [result] = MULTICALL.decodeFunctionResult("resolve", result);
    const [results] = MULTICALL.decodeFunctionResult("multicall", result);
    return results.map((each) => MULTICALL.decodeFunctionResult("text", each)[0]);
  },
  profiles: async ({ name, calls }) => {
    const node = ethers.utils.namehash(name);
    const made = calls.map(({ signature, args }) => ({
      abi: new ethers.utils.Interface([signature]),
      args: [node, ...args],
    }));
    const data = made.map(({ abi, args }) => abi.encodeFunctionData(abi.fragments[0], args));
    const read = ({ abi }, bytes) =>
      [...abi.decodeFunctionResult(abi.fragments[0], bytes)].map((each) => String(each).toLowerCase());
    const many = data.length > 1;
    const inner = many ? MULTICALL.encodeFunctionData("multicall", [data]) : data[0];
    const outer = MULTICALL.encodeFunctionData("resolve", [ethers.utils.dnsEncode(name), inner]);
    const [result] = MULTICALL.decodeFunctionResult("resolve", await call((await resolverOf(name)).address, outer));
    const results = many ? MULTICALL.decodeFunctionResult("multicall", result)[0] : [result];
    return results.map((each, index) => read(made[index], each));
  },
  resolver: async ({ name }) => (await resolverOf(name)).address,
  reverse: ({ address }) => provider.lookupAddress(address),
});
