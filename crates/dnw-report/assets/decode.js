// Decodes the binary formats of `recording.rs` and `history.rs`.

export function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

// Weights as 16-bit integers, one for each frame and entry; illegal entries are 0. A byte holds `sign(q) (q / 127)^2` of the scale, two
// bytes hold `q / 32767`.
export function weightsOf(bytes, frames, entries, legal) {
  const weights = new Int16Array(frames * entries);
  let possible = entries;
  if (legal) possible = legal.reduce((sum, flag) => sum + flag, 0);
  const view = new DataView(bytes.buffer);
  const wide = bytes.length === frames * possible * 2;
  const eight = (at) => {
    const q = view.getInt8(at) / 127;
    return Math.round(q * Math.abs(q) * 32767);
  };
  let at = 0;
  for (let frame = 0; frame < frames; frame++) {
    for (let entry = 0; entry < entries; entry++) {
      if (legal && legal[entry] === 0) continue;
      weights[frame * entries + entry] = wide ? view.getInt16(2 * at, true) : eight(at);
      at++;
    }
  }
  return weights;
}

export function float32s(bytes) {
  const view = new DataView(bytes.buffer);
  return Float32Array.from({ length: bytes.length >> 2 }, (_, i) => view.getFloat32(i * 4, true));
}

export function bitAt(bytes, i) {
  return (bytes[i >> 3] >> (i & 7)) & 1;
}

export function unpackBits(bytes, length) {
  const flags = new Uint8Array(length);
  for (let i = 0; i < length; i++) flags[i] = bitAt(bytes, i);
  return flags;
}

// The history as flat lists: change `c` has the entries `added[addedStart[c] .. addedStart[c + 1]]`.
// Reading ends, as in Rust, at the first record that is cut short or points outside.
export function historyOf(bytes, entries) {
  const update = [];
  const addedStart = [0];
  const removedStart = [0];
  const added = [];
  const removed = [];
  let at = 0;
  let now = 0;
  const varint = () => {
    let value = 0;
    let factor = 1;
    for (;;) {
      if (at >= bytes.length) return -1;
      const byte = bytes[at++];
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 128;
    }
  };
  const list = (into) => {
    const length = varint();
    if (length < 0 || length > entries) return false;
    let entry = 0;
    for (let i = 0; i < length; i++) {
      const step = varint();
      entry += step;
      if (step < 0 || entry >= entries) return false;
      into.push(entry);
    }
    return true;
  };
  for (;;) {
    const step = varint();
    if (step < 0 || !list(added) || !list(removed)) break;
    now += step;
    update.push(now);
    addedStart.push(added.length);
    removedStart.push(removed.length);
  }
  added.length = addedStart[update.length];
  removed.length = removedStart[update.length];
  return {
    count: update.length,
    update: Float64Array.from(update),
    addedStart: Uint32Array.from(addedStart),
    removedStart: Uint32Array.from(removedStart),
    added: Uint32Array.from(added),
    removed: Uint32Array.from(removed),
  };
}
