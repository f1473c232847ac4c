//! Feature maps of the interpreter.

/// Feature maps `[channels, height, width]`.
#[derive(Clone, Copy)]
pub(crate) struct Maps<'a> {
    pub(super) values: &'a [f64],
    pub(super) shape: [usize; 3],
}

impl<'a> Maps<'a> {
    pub(crate) fn new(values: &'a [f64], shape: [usize; 3]) -> Self {
        Self { values, shape }
    }

    pub(super) fn pixels(&self) -> usize {
        self.shape[1] * self.shape[2]
    }

    pub(super) fn channel(&self, channel: usize) -> &'a [f64] {
        &self.values[channel * self.pixels()..(channel + 1) * self.pixels()]
    }

    /// A pixel, or `None` outside the feature map.
    pub(super) fn pixel(&self, channel: usize, y: isize, x: isize) -> Option<f64> {
        let [_, height, width] = self.shape;
        let (y, x) = (usize::try_from(y).ok()?, usize::try_from(x).ok()?);
        (y < height && x < width).then(|| self.channel(channel)[y * width + x])
    }
}
