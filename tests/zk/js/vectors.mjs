#!/usr/bin/env node
// Writes tests/vectors/zk_{poseidon,lean_imt,semaphore}.json:
//   bin/setup --oracle
//   node vectors.mjs DIRECTORY    # of @zk-kit/semaphore-artifacts 4.13.0, for a proof of depth 16
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Group } from "@semaphore-protocol/group";
import { Identity } from "@semaphore-protocol/identity";
import { generateProof, verifyProof } from "@semaphore-protocol/proof";
import { LeanIMT } from "@zk-kit/lean-imt";
import { buildPoseidon } from "circomlibjs";
import { DEPTH, snark } from "./circuit.mjs";

const ORDER = 21888242871839275222246405745257275088548364400416034343698204186575808495617n;
const MAX = 2n ** 256n - 1n;

function write(name, content) {
  const place = new URL(`../../vectors/zk_${name}.json`, import.meta.url);
  const text = (_, value) => (typeof value === "bigint" ? value.toString() : value);
  writeFileSync(fileURLToPath(place), JSON.stringify(content, text, 1) + "\n");
}

const poseidon = await buildPoseidon();
const hash = (a, b) => poseidon.F.toObject(poseidon([a, b]));
// a plain congruential sequence, so that anybody gets the same
let seed = 1n;
const next = () => (seed = (seed * 6364136223846793005n + 1442695040888963407n) ** 4n % ORDER);

const edges = [0n, 1n, 2n, ORDER - 1n, ORDER - 2n, 1n << 253n];
const pairs = edges.flatMap((a) => edges.map((b) => [a, b]));
for (let i = 0; i < 64; i++) pairs.push([next(), next()]);
write("poseidon", {
  source: "circomlibjs 0.1.7 (npm), poseidon of two inputs",
  generator: "tests/zk/js/vectors.mjs",
  checked_by: "tests/zk/test_poseidon.py, whose constants are drawn by the paper's own generator",
  vectors: pairs.map(([a, b]) => ({ inputs: [a, b], output: hash(a, b) })),
});

const leaves = Array.from({ length: 40 }, next);
const trees = [];
for (let size = 1; size <= leaves.length; size++) {
  const tree = new LeanIMT(hash, leaves.slice(0, size));
  const paths = [0, size >> 1, size - 1].map((place) => {
    const { index, siblings } = tree.generateProof(place);
    return { place, index, siblings };
  });
  trees.push({ size, depth: tree.depth, root: tree.root, paths });
}
write("lean_imt", {
  source: "@zk-kit/lean-imt 2.2.4 (npm) with poseidon of circomlibjs 0.1.7",
  generator: "tests/zk/js/vectors.mjs",
  checked_by: "tests/zk/test_lean_imt.py; Semaphore.sol for the same leaves in test_on_chain.py",
  leaves,
  trees,
});

const members = Array.from({ length: 11 }, (_, i) => new Identity(`bits member ${i}`));
const group = new Group(members.map(({ commitment }) => commitment));

async function prove(identity, tree, message, scope, depth, files) {
  const proof = await generateProof(identity, tree, message, scope, depth, files);
  if (!(await verifyProof(proof))) throw new Error("snarkjs refuses its own proof");
  return proof;
}

const proofs = [];
for (const [place, message, scope] of [
  [0, 0n, 0n],
  [3, 1n, MAX],
  [7, MAX, ORDER],
  [10, ORDER + 1n, 5n],
]) {
  const proof = await prove(members[place], group, message, scope, DEPTH, snark);
  proofs.push({ place, proof });
}
const single = new Group([members[0].commitment]);
proofs.push({ place: 0, proof: await prove(members[0], single, 1n, 2n, DEPTH, snark) });

const files = (kind) => join(process.argv[2], `semaphore-16.${kind}`);
const shallow = await prove(members[3], group, 1n, MAX, 16, {
  wasm: files("wasm"),
  zkey: files("zkey"),
});

write("semaphore", {
  source: "@semaphore-protocol/{identity,group,proof} 4.14.3 (npm), snarkjs 0.7.5",
  generator: "tests/zk/js/vectors.mjs",
  checked_by: "snarkjs when it was made; tests/zk/test_proofs.py; SemaphoreVerifier on chain",
  members: members.map(({ secretScalar, publicKey, commitment }) => ({
    secretScalar,
    publicKey,
    commitment,
  })),
  root: group.root,
  proofs,
  shallow: { place: 3, proof: shallow },
});
process.exit(0); // snarkjs leaves its workers running
