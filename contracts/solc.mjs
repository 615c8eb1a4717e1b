#!/usr/bin/env node
// The compiler as forge wants it, a command that reads standard JSON, made from npm's wasm build
// of solc: it works offline and is the very one that build.mjs uses.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const solc = createRequire(import.meta.url)("solc");
const args = process.argv.slice(2);
const value = (flag) => (args.includes(flag) ? args[args.indexOf(flag) + 1] : undefined);

if (args.includes("--version")) {
  // forge takes the platform's name apart and knows none that is called Emscripten.
  const version = solc.version().replace(".Emscripten.clang", ".Linux.g++");
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${version}`);
} else {
  const roots = [value("--base-path") ?? process.cwd(), join(import.meta.dirname, "node_modules")];
  const read = (path) => {
    for (const root of roots) {
      try {
        return { contents: readFileSync(resolve(root, path), "utf8") };
      } catch (error) {
        if (error.code !== "ENOENT") throw error;
      }
    }
    return { error: `File not found: ${path}` };
  };
  process.stdout.write(solc.compile(readFileSync(0, "utf8"), { import: read }));
}
