#!/usr/bin/env node
// What Semaphore's own packages make of proofs. Reads {verify: [proof, …], prove: null | {members,
// place, message, scope, rounds}} from standard input; writes {valid: […], verifySeconds: […],
// proof, proveSeconds: […], firstProof}, the last in seconds from the start of the process. Numbers
// beyond 2**53 are strings.
import { readFileSync } from "node:fs";
import { Group } from "@semaphore-protocol/group";
import { Identity } from "@semaphore-protocol/identity";
import { generateProof, verifyProof } from "@semaphore-protocol/proof";
import { DEPTH, snark } from "./circuit.mjs";

const work = JSON.parse(readFileSync(0, "utf8"));

async function timed(action) {
  const began = performance.now();
  const result = await action();
  return [result, (performance.now() - began) / 1000];
}

let proof = null;
const proveSeconds = [];
let firstProof = null;
if (work.prove) {
  const members = work.prove.members.map((name) => new Identity(name));
  const group = new Group(members.map(({ commitment }) => commitment));
  const { place, message, scope, rounds } = work.prove;
  for (let round = 0; round < rounds; round++) {
    let seconds;
    [proof, seconds] = await timed(() =>
      generateProof(members[place], group, message, scope, DEPTH, snark),
    );
    proveSeconds.push(seconds);
    firstProof ??= performance.now() / 1000;
  }
}
const valid = [];
const verifySeconds = [];
for (const proof of work.verify) {
  const [result, seconds] = await timed(() => verifyProof(proof).catch(() => false));
  valid.push(result);
  verifySeconds.push(seconds);
}
console.log(JSON.stringify({ valid, verifySeconds, proof, proveSeconds, firstProof }));
process.exit(0); // snarkjs leaves its workers running
