//! `.pt` files as PyTorch wrote them before 1.6, sound or not, byte by byte.

/// A pickle in the making, of protocol 2.
pub struct Pickle(Vec<u8>);

impl Pickle {
    pub fn new() -> Self {
        Self(vec![0x80, 2])
    }

    pub fn bytes(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    pub fn text(self, text: &str) -> Self {
        let length = u32::try_from(text.len()).unwrap().to_le_bytes();
        self.bytes(b"X").bytes(length).bytes(text)
    }

    pub fn number(self, number: i64) -> Self {
        self.bytes([0x8a, 8]).bytes(number.to_le_bytes())
    }

    fn numbers(self, numbers: &[i64]) -> Self {
        let all = numbers.iter().copied();
        all.fold(self.bytes(b"("), Self::number).bytes(b"t")
    }

    /// A float tensor of this shape in a storage, called `0`, that is said to have so many elements.
    pub fn tensor(self, shape: &[i64], elements: i64) -> Self {
        let mut strides = vec![1; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis] * shape[axis];
        }
        self.bytes(b"ctorch._utils\n_rebuild_tensor_v2\n((")
            .text("storage")
            .bytes(b"ctorch\nFloatStorage\n")
            .text("0")
            .text("cpu")
            .number(elements)
            .bytes(b"tQ")
            .number(0)
            .numbers(shape)
            .numbers(&strides)
            .bytes(b"\x89ccollections\nOrderedDict\n)RtR")
    }
}

/// A file whose saved object is this pickle without its end, with these floats in its storage.
pub fn file(saved: Pickle, floats: &[f32]) -> Vec<u8> {
    let magic = Pickle::new().bytes(b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19");
    let version = Pickle::new().number(1001);
    let system = Pickle::new()
        .bytes(b"}")
        .text("little_endian")
        .bytes(b"\x88s");
    let keys = Pickle::new().bytes(b"](").text("0").bytes(b"e");
    let parts = [magic, version, system, saved, keys];
    let mut file: Vec<u8> = parts
        .into_iter()
        .flat_map(|part| part.bytes(b".").0)
        .collect();
    file.extend((floats.len() as i64).to_le_bytes());
    file.extend(floats.iter().flat_map(|float| float.to_le_bytes()));
    file
}

/// A file with one tensor in a dictionary.
pub fn one_tensor(name: &str, shape: &[i64], elements: i64, floats: &[f32]) -> Vec<u8> {
    let saved = Pickle::new().bytes(b"}").text(name).tensor(shape, elements);
    file(saved.bytes(b"s"), floats)
}
