// Compiled networks in a browser or in Node: the C interface of dnw-c as a WebAssembly module.
//
//     node examples/web/predict.mjs dnw_c.wasm MODEL..
//
// prints for each model a hash of its outputs for a fixed image, as `cargo run -p dnw-compiler --example output_hash` does. docs/runtime.md says
// how to build the module.

/** A loaded network. `bytes` is its file, `module` a compiled `dnw_c.wasm`. */
export class Network {
  constructor(module, bytes) {
    this.wasm = new WebAssembly.Instance(module, {}).exports;
    const handle = this.reserve(4);
    const file = this.reserve(bytes.length);
    this.bytes(file, bytes.length).set(bytes);
    this.check(this.wasm.dnw_model_from_bytes(file, bytes.length, handle));
    this.model = this.words(handle, 1)[0];
    this.check(this.wasm.dnw_session_new(this.model, 1, handle));
    this.session = this.words(handle, 1)[0];
    const shape = this.reserve(12);
    this.check(this.wasm.dnw_model_shape(this.model, shape));
    this.shape = [...this.words(shape, 3)];
    this.inputs = this.shape.reduce((a, b) => a * b);
    this.outputs = this.wasm.dnw_model_outputs(this.model);
    this.input = this.reserve(4 * this.inputs);
    this.output = this.reserve(4 * this.outputs);
  }

  /** The outputs for one image: numbers in the order [channels, height, width], normalised. */
  run(image) {
    if (image.length !== this.inputs) throw new RangeError(`an image has ${this.inputs} numbers`);
    this.floats(this.input, this.inputs).set(image);
    this.check(this.wasm.dnw_session_run(this.session, this.input, this.inputs, this.output, this.outputs));
    return this.floats(this.output, this.outputs).slice();
  }

  /** The name of an output, or undefined. */
  className(index) {
    const at = this.wasm.dnw_model_class(this.model, index);
    return at === 0 ? undefined : this.text(at);
  }

  check(status) {
    if (status !== 0) throw new Error(this.text(this.wasm.dnw_last_error()));
  }

  // Pages that the module does not know are for what both sides use.
  reserve(length) {
    const pages = Math.max(1, Math.ceil(length / 65536));
    return this.wasm.memory.grow(pages) * 65536;
  }

  // Views are made anew each time, because the memory moves when it grows.
  bytes(at, length) { return new Uint8Array(this.wasm.memory.buffer, at, length); }
  words(at, length) { return new Uint32Array(this.wasm.memory.buffer, at, length); }
  floats(at, length) { return new Float32Array(this.wasm.memory.buffer, at, length); }
  text(at) {
    const all = new Uint8Array(this.wasm.memory.buffer);
    return new TextDecoder().decode(all.subarray(at, all.indexOf(0, at)));
  }
}

/** FNV-1a. */
function hash(bytes) {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn;
  return hash.toString(16).padStart(16, "0");
}

if (typeof process !== "undefined" && import.meta.filename === process.argv[1]) {
  const { readFileSync } = await import("node:fs");
  const { basename } = await import("node:path");
  const [wasm, ...models] = process.argv.slice(2);
  const module = new WebAssembly.Module(readFileSync(wasm));
  for (const path of models) {
    const file = readFileSync(path);
    const network = new Network(module, file);
    const image = Float32Array.from({ length: network.inputs }, (_, i) => ((i * 73) % 256) / 128 - 1);
    const output = network.run(image);
    console.log(`${basename(path, ".dnw")} ${hash(file)} ${hash(new Uint8Array(output.buffer))}`);
  }
}
