#!/usr/bin/env node
// Compiles what is deployed and writes one JSON file per contract: node build.mjs [DIRECTORY]
// (default: artifacts). The same sources and the same lock file give the same bytes.
import { createRequire } from "node:module";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const solc = createRequire(import.meta.url)("solc");
const here = import.meta.dirname;
const out = process.argv[2] ?? join(here, "artifacts");

// contract: its source, ours or a locked package's
const CONTRACTS = {
  ERC5564Announcer: "src/ERC5564Announcer.sol",
  ERC6538Registry: "src/ERC6538Registry.sol",
  InvoiceFactory: "src/InvoiceFactory.sol",
  OperatorPool: "src/OperatorPool.sol",
  PoseidonT3: "poseidon-solidity/PoseidonT3.sol",
  Semaphore: "@semaphore-protocol/contracts/Semaphore.sol",
  SemaphoreVerifier: "@semaphore-protocol/contracts/base/SemaphoreVerifier.sol",
  TimelockController: "@openzeppelin/contracts/governance/TimelockController.sol",
  Treasury: "src/Treasury.sol",
  Vouchers: "src/Vouchers.sol",
};

const read = (path) =>
  readFileSync(join(here, path.startsWith("src/") ? path : join("node_modules", path)), "utf8");

function compile() {
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(
      Object.values(CONTRACTS).map((path) => [path, { content: read(path) }]),
    ),
    settings: {
      ...JSON.parse(readFileSync(join(here, "settings.json"), "utf8")),
      outputSelection: { "*": { "*": ["abi", "evm.bytecode", "evm.deployedBytecode"] } },
    },
  };
  const callback = (path) => {
    try {
      return { contents: read(path) };
    } catch (error) {
      return { error: error.message };
    }
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: callback }));
  const faults = (output.errors ?? []).filter(
    ({ severity, sourceLocation }) =>
      severity === "error" || sourceLocation?.file.startsWith("src/"),
  );
  if (faults.length) {
    console.error(faults.map((fault) => fault.formattedMessage).join("\n"));
    process.exit(1);
  }
  return output.contracts;
}

// Positions of what the compiler leaves open, as [start, length] in bytes; libraries by name.
const places = (references) => references.map(({ start, length }) => [start, length]);
const immutables = (references) =>
  Object.values(references ?? {}).flatMap(places).sort(([a], [b]) => a - b);
const links = (references) =>
  Object.fromEntries(
    Object.values(references).flatMap((libraries) =>
      Object.entries(libraries).map(([library, found]) => [library, places(found)]),
    ),
  );
// Where a library's address goes the compiler writes a placeholder that is not hexadecimal.
const plain = ({ object, linkReferences }) => {
  let code = object;
  for (const [start, length] of Object.values(links(linkReferences)).flat()) {
    const zeros = "0".repeat(2 * length);
    code = code.slice(0, 2 * start) + zeros + code.slice(2 * (start + length));
  }
  return `0x${code}`;
};

const sorted = (value) => {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
};

const compiled = compile();
mkdirSync(out, { recursive: true });
for (const [name, source] of Object.entries(CONTRACTS)) {
  const { abi, evm } = compiled[source][name];
  const artifact = {
    abi,
    bytecode: plain(evm.bytecode),
    compiler: solc.version(),
    deployedBytecode: plain(evm.deployedBytecode),
    deployedLinkReferences: links(evm.deployedBytecode.linkReferences),
    immutableReferences: immutables(evm.deployedBytecode.immutableReferences),
    linkReferences: links(evm.bytecode.linkReferences),
    name,
    source,
  };
  writeFileSync(join(out, `${name}.json`), `${JSON.stringify(sorted(artifact), null, 1)}\n`);
}
const stale = readdirSync(out).filter((file) => !(file.replace(/\.json$/, "") in CONTRACTS));
if (stale.length) {
  console.error(`not built from any source: ${stale.join(", ")}`);
  process.exit(1);
}
