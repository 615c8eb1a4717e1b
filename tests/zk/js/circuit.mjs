// The circuit's files, as bin/setup leaves them.
import { fileURLToPath } from "node:url";

const place = (name) => fileURLToPath(new URL(`../../../zk/circuits/${name}`, import.meta.url));

export const DEPTH = 20;
export const snark = { wasm: place("semaphore-20.wasm"), zkey: place("semaphore-20.zkey") };
