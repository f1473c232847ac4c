//! The data sets that this program does not download, and how a person gets their files.

/// Such a data set.
pub(crate) struct ByHand {
    /// The name that it is opened by.
    pub name: &'static str,
    /// How a person gets the files.
    pub instructions: &'static str,
}

pub(crate) const CIFAR10: ByHand = ByHand {
    name: "cifar10",
    instructions: "download the binary version, cifar-10-binary.tar.gz, or that for Python, cifar-10-python.tar.gz, from its \
    authors' page, https://www.cs.toronto.edu/~kriz/cifar.html, and put it into the data folder, as it is or unpacked:\n  \
    tar xzf cifar-10-binary.tar.gz -C DIR\n\
    then `dnw data check cifar10 --data DIR` reads it",
};

pub(crate) const CIFAR100: ByHand = ByHand {
    name: "cifar100",
    instructions: "download the binary version, cifar-100-binary.tar.gz, or that for Python, cifar-100-python.tar.gz, from its \
    authors' page, https://www.cs.toronto.edu/~kriz/cifar.html, and put it into the data folder, as it is or unpacked:\n  \
    tar xzf cifar-100-binary.tar.gz -C DIR\n\
    then `dnw data check cifar100 --data DIR` reads it",
};

pub(crate) const IMAGENET: ByHand = ByHand {
    name: "imagenet",
    instructions: "ask for access at https://image-net.org/download-images, download \
    ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar, and unpack them:\n  \
    mkdir -p DIR/imagenet/train DIR/imagenet/val\n  \
    tar xf ILSVRC2012_img_train.tar -C DIR/imagenet/train\n  \
    tar xf ILSVRC2012_img_val.tar -C DIR/imagenet/val\n  \
    cd DIR/imagenet/train && for t in *.tar; do mkdir ${t%.tar} && tar xf $t -C ${t%.tar} && rm $t; done\n\
    move each image of val/ into val/SYNSET/, as the ground truth of the development kit says, then run \
    `dnw data check imagenet --data DIR`",
};
