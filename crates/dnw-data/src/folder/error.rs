//! What can be wrong with a folder of classes of images.

/// Names that an error spells out; of more, it says how many.
const NAMED: usize = 10;

/// A way in which a folder of classes can be wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// There is not one class.
    #[error("it has no folder of a class")]
    NoClasses,
    /// There is nothing to tell apart.
    #[error("it has one class only, `{class}`")]
    OneClass {
        /// The class.
        class: String,
    },
    /// There are more classes than a label can tell apart.
    #[error("it has {classes} classes, more than the 65536 that can be told apart")]
    TooManyClasses {
        /// How many.
        classes: usize,
    },
    /// Images are in no folders of classes, and no file says their classes.
    #[error("its {images} images are in no folders of classes, and no file says their classes")]
    Unlabelled {
        /// How many.
        images: usize,
    },
    /// A file with the classes of images has none for one of them.
    #[error("it has no class for `{image}`")]
    NoLabel {
        /// The image.
        image: String,
    },
    /// Some classes have no images.
    #[error("there is no image of {} (no .jpg, .jpeg or .png)", listed(classes))]
    EmptyClasses {
        /// The classes.
        classes: Vec<String>,
    },
    /// The classes are not those of the other part, or of the data set.
    #[error("its classes are not those of `{of}`{}", difference(lacks, has))]
    Classes {
        /// What they should be those of.
        of: String,
        /// Classes that should be there.
        lacks: Vec<String>,
        /// Classes that should not.
        has: Vec<String>,
    },
}

fn listed(names: &[String]) -> String {
    let mut text = String::new();
    for (index, name) in names.iter().take(NAMED).enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        text += &format!("{comma}`{name}`");
    }
    match names.len().checked_sub(NAMED) {
        None | Some(0) => text,
        Some(more) => format!("{text} and {more} more"),
    }
}

fn difference(lacks: &[String], has: &[String]) -> String {
    let clause = |verb: &str, names: &[String]| match names {
        [] => String::new(),
        _ => format!("; it {verb} {}", listed(names)),
    };
    clause("lacks", lacks) + &clause("also has", has)
}
