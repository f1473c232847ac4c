// Small pictures of recorded values: test images, feature maps, kernels.

import { lastAtMost } from "./elements.js";
import { bytesOf, float32s } from "./decode.js";
import { diverging, divergingEnds } from "./theme.js";

export function openSamples(recorded) {
  const samples = recorded.samples;
  if (!samples || !samples.labels.length) return null;
  const features = samples.features;
  return {
    shape: samples.shape,
    labels: samples.labels,
    frames: samples.frames,
    classes: recorded.data.classes,
    pixels: bytesOf(samples.pixels),
    probabilities: bytesOf(samples.probabilities),
    features:
      features && features.frames.length && recorded.nodes.length
        ? {
            width: features.width,
            height: features.height,
            frames: features.frames,
            values: new Int8Array(bytesOf(features.values).buffer),
            scale: float32s(bytesOf(features.scale)),
          }
        : null,
  };
}

function canvasOf(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

export function paintImage(canvas, samples, image) {
  const [channelCount, height, width] = samples.shape;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  const plane = width * height;
  for (let i = 0; i < plane; i++) {
    for (let c = 0; c < 3; c++) {
      picture.data[i * 4 + c] = samples.pixels[(image * channelCount + Math.min(c, channelCount - 1)) * plane + i];
    }
    picture.data[i * 4 + 3] = 255;
  }
  context.putImageData(picture, 0, 0);
}

// Values from -1 to 1 as a small picture.
export function paintValues(canvas, values, width, height, colours) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  const ends = divergingEnds(colours);
  for (let i = 0; i < width * height; i++) {
    picture.data.set(diverging(values[i], ends), i * 4);
    picture.data[i * 4 + 3] = 255;
  }
  context.putImageData(picture, 0, 0);
}

export function featureMap(samples, nodes, node, image, t) {
  const { width, height, frames, values, scale } = samples.features;
  const frame = Math.max(0, lastAtMost(frames, t));
  const start = ((frame * samples.labels.length + image) * nodes + node) * width * height;
  return {
    update: frames[frame],
    scale: scale[frame * nodes + node],
    values: Float32Array.from(values.subarray(start, start + width * height), (q) => q / 127),
  };
}

// The feature maps of all nodes on one image, side by side in one canvas, redrawn only when they change.
export function featureAtlas(samples, nodes) {
  const { width, height, frames, values } = samples.features;
  const across = Math.ceil(Math.sqrt(nodes));
  const canvas = canvasOf(across * width, Math.ceil(nodes / across) * height);
  const context = canvas.getContext("2d");
  let shown = "";
  return {
    canvas,
    width,
    height,
    at: (node) => [(node % across) * width, Math.floor(node / across) * height],
    refresh(image, t, colours) {
      const frame = Math.max(0, lastAtMost(frames, t));
      const wanted = [image, frame, colours.paper].join();
      if (wanted === shown) return;
      shown = wanted;
      const ends = divergingEnds(colours);
      const shades = Array.from({ length: 256 }, (_, i) => diverging((i - 128) / 127, ends));
      const picture = context.createImageData(canvas.width, canvas.height);
      const plane = width * height;
      const start = (frame * samples.labels.length + image) * nodes * plane;
      for (let node = 0; node < nodes; node++) {
        const left = (node % across) * width;
        const top = Math.floor(node / across) * height;
        for (let i = 0; i < plane; i++) {
          const shade = shades[values[start + node * plane + i] + 128];
          const at = ((top + Math.floor(i / width)) * canvas.width + left + (i % width)) * 4;
          picture.data[at] = shade[0];
          picture.data[at + 1] = shade[1];
          picture.data[at + 2] = shade[2];
          picture.data[at + 3] = 255;
        }
      }
      context.putImageData(picture, 0, 0);
    },
  };
}
