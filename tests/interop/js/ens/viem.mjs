// viem: everything goes through the universal resolver, with its own batch gateway (ENSIP-21) inside.
import {
  createPublicClient,
  decodeFunctionResult,
  defineChain,
  encodeFunctionData,
  http,
  namehash,
  parseAbi,
  toHex,
} from "viem";
import { normalize, packetToBytes } from "viem/ens";
import { serve } from "./serve.mjs";

const PROFILES = parseAbi([
  "function addr(bytes32 node) view returns (address)",
  "function addr(bytes32 node, uint256 coinType) view returns (bytes)",
  "function text(bytes32 node, string key) view returns (string)",
  "function contenthash(bytes32 node) view returns (bytes)",
  "function multicall(bytes[] data) view returns (bytes[])",
]);
const UNIVERSAL = parseAbi([
  "function resolveWithGateways(bytes name, bytes data, string[] gateways) view returns (bytes, address)",
]);

let client;
let universalResolver;

async function resolve(name, data) {
  const [result] = await client.readContract({
    address: universalResolver,
    abi: UNIVERSAL,
    functionName: "resolveWithGateways",
    args: [toHex(packetToBytes(normalize(name))), data, ["x-batch-gateway:true"]],
  });
  return result;
}

// Several values come as an array, one value as itself; whole numbers are not JSON.
const plain = (found) => [found].flat().map((each) => String(each).toLowerCase());

serve({
  open: (world) => {
    universalResolver = world.universalResolver;
    const chain = defineChain({
      id: world.chainId,
      name: "local",
      nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
      rpcUrls: { default: { http: [world.rpcUrl] } },
      contracts: { ensUniversalResolver: { address: universalResolver } },
    });
    client = createPublicClient({ chain, transport: http(world.rpcUrl, { retryCount: 0 }) });
  },
  addr: ({ name }) => client.getEnsAddress({ name: normalize(name), strict: true }),
  coin: ({ name, coin }) =>
    client.getEnsAddress({ name: normalize(name), coinType: BigInt(coin), strict: true }),
  text: ({ name, key }) => client.getEnsText({ name: normalize(name), key, strict: true }),
  contenthash: async ({ name }) => {
    const data = encodeFunctionData({
      abi: PROFILES,
      functionName: "contenthash",
      args: [namehash(normalize(name))],
    });
    return decodeFunctionResult({
      abi: PROFILES,
      functionName: "contenthash",
      data: await resolve(name, data),
    });
  },
  multitext: async ({ name, keys }) => {
    const node = namehash(normalize(name));
    const calls = keys.map((key) =>
      encodeFunctionData({ abi: PROFILES, functionName: "text", args: [node, key] }),
    );
    const data = encodeFunctionData({ abi: PROFILES, functionName: "multicall", args: [calls] });
    const results = decodeFunctionResult({
      abi: PROFILES,
      functionName: "multicall",
      data: await resolve(name, data),
    });
    return results.map((result) =>
      decodeFunctionResult({ abi: PROFILES, functionName: "text", data: result }),
    );
  },
  profiles: async ({ name, calls }) => {
    const node = namehash(normalize(name));
    const made = calls.map(({ signature, args }) => ({ abi: parseAbi([signature]), args: [node, ...args] }));
    const data = made.map(({ abi, args }) => encodeFunctionData({ abi, args }));
    const read = ({ abi }, bytes) => plain(decodeFunctionResult({ abi, data: bytes }));
    if (data.length === 1) return [read(made[0], await resolve(name, data[0]))];
    const all = encodeFunctionData({ abi: PROFILES, functionName: "multicall", args: [data] });
    const results = decodeFunctionResult({
      abi: PROFILES,
      functionName: "multicall",
      data: await resolve(name, all),
    });
    return results.map((result, index) => read(made[index], result));
  },
  resolver: ({ name }) => client.getEnsResolver({ name: normalize(name) }),
  reverse: ({ address }) => client.getEnsName({ address, strict: true }),
});
