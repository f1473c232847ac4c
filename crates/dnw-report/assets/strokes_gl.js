// Draws strokes on the GPU: one instanced ribbon per edge. It animates 50,000 edges; fewer edges look better on a 2D
// canvas.

import { channels } from "./theme.js";

const SEGMENTS = 16;
const FLOATS = 10;

const VERTEX = `#version 300 es
layout(location = 0) in vec2 corner;
layout(location = 1) in vec4 ends;
layout(location = 2) in vec4 colour;
layout(location = 3) in vec2 look;
uniform vec2 size;
out vec4 tint;
out float across;
out float halfWidth;
out float run;
flat out float dash;
void main() {
  vec2 a = ends.xy, d = ends.zw;
  float reach = d.x - a.x;
  float loop = 34.0 + abs(reach) * 0.25;
  vec2 b = a + vec2(reach > 2.0 ? reach * 0.42 : loop, 0.0);
  vec2 c = d - vec2(reach > 2.0 ? reach * 0.42 : (reach < -2.0 ? loop : -loop), 0.0);
  float s = corner.x, r = 1.0 - s;
  vec2 place = r*r*r*a + 3.0*r*r*s*b + 3.0*r*s*s*c + s*s*s*d;
  vec2 slope = 3.0*r*r*(b-a) + 6.0*r*s*(c-b) + 3.0*s*s*(d-c);
  vec2 normal = normalize(vec2(-slope.y, slope.x) + vec2(1e-6));
  halfWidth = look.x * 0.5;
  across = corner.y * (halfWidth + 1.0);
  place += normal * across;
  run = s * length(d - a);
  dash = look.y;
  tint = colour;
  gl_Position = vec4(place / size * vec2(2.0, -2.0) + vec2(-1.0, 1.0), 0.0, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 tint;
in float across;
in float halfWidth;
in float run;
flat in float dash;
out vec4 shade;
void main() {
  if (dash > 0.5 && dash < 2.5 && mod(run, 8.0) > 4.5) discard;
  float cover = clamp(halfWidth + 0.5 - abs(across), 0.0, 1.0) * min(1.0, halfWidth * 2.0);
  shade = vec4(tint.rgb, 1.0) * (tint.a * cover);
}`;

// Null if the browser has no WebGL 2 or renders it without a GPU: a 2D canvas is faster then.
export function openGraphics(canvas) {
  const gl = canvas.getContext("webgl2", {
    premultipliedAlpha: true,
    preserveDrawingBuffer: true,
    antialias: false,
    failIfMajorPerformanceCaveat: true,
  });
  if (!gl) return null;
  const program = gl.createProgram();
  for (const [kind, source] of [
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, FRAGMENT],
  ]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return null;
  gl.useProgram(program);
  const corners = new Float32Array((SEGMENTS + 1) * 4);
  for (let i = 0; i <= SEGMENTS; i++) corners.set([i / SEGMENTS, -1, i / SEGMENTS, 1], i * 4);
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, corners, gl.STATIC_DRAW);
  gl.enableVertexAttribArray(0);
  gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0);
  const instances = gl.createBuffer();
  gl.bindBuffer(gl.ARRAY_BUFFER, instances);
  for (const [slot, length, offset] of [
    [1, 4, 0],
    [2, 4, 16],
    [3, 2, 32],
  ]) {
    gl.enableVertexAttribArray(slot);
    gl.vertexAttribPointer(slot, length, gl.FLOAT, false, FLOATS * 4, offset);
    gl.vertexAttribDivisor(slot, 1);
  }
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  return { gl, size: gl.getUniformLocation(program, "size"), data: new Float32Array(0) };
}

// Some browsers render WebGL on the CPU without reporting it. A timed sample detects this.
export function isFast(graphics, strokes, colours, width, height) {
  const sample = Object.assign(Object.create(strokes), { count: Math.min(2500, strokes.count) });
  let time = 0;
  for (let turn = 0; turn < 2; turn++) {
    const start = performance.now();
    strokeAllOnGraphics(graphics, sample, colours, width, height);
    awaitGraphics(graphics);
    time = performance.now() - start;
  }
  return time < 30;
}

// Returns once the pixels are rendered.
export function awaitGraphics({ gl }) {
  gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
}

export function strokeAllOnGraphics(graphics, strokes, colours, width, height) {
  const { gl } = graphics;
  const tones = ["positive", "negative", "faint", "flash", "ink"].map((name) =>
    channels(colours[name]).map((channel) => channel / 255),
  );
  if (graphics.data.length < strokes.count * FLOATS) graphics.data = new Float32Array(strokes.capacity * FLOATS);
  const { data } = graphics;
  for (let i = 0, at = 0; i < strokes.count; i++, at += FLOATS) {
    const tone = tones[strokes.tone[i]];
    data[at] = strokes.xy[i * 4];
    data[at + 1] = strokes.xy[i * 4 + 1];
    data[at + 2] = strokes.xy[i * 4 + 2];
    data[at + 3] = strokes.xy[i * 4 + 3];
    data[at + 4] = tone[0];
    data[at + 5] = tone[1];
    data[at + 6] = tone[2];
    data[at + 7] = strokes.alpha[i];
    data[at + 8] = strokes.width[i];
    data[at + 9] = strokes.dash[i];
  }
  gl.viewport(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight);
  gl.clearColor(0, 0, 0, 0);
  gl.clear(gl.COLOR_BUFFER_BIT);
  gl.uniform2f(graphics.size, width, height);
  gl.bufferData(gl.ARRAY_BUFFER, data.subarray(0, strokes.count * FLOATS), gl.DYNAMIC_DRAW);
  gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, (SEGMENTS + 1) * 2, strokes.count);
}
