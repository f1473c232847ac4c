//! What to do about an error.

use super::DataError;
use crate::by_hand::{CIFAR10, CIFAR100, IMAGENET};
use crate::cifar10::CifarError;
use crate::folder::FolderError;
use crate::{IdxError, TransformError};

impl DataError {
    /// How to solve the problem: one or a few lines without a final full stop.
    pub fn help(&self) -> String {
        let fixed = match self {
            Self::UnknownName { nearest, .. } => {
                let all = "`dnw data list` shows all data sets";
                return match nearest {
                    Some(nearest) => format!("did you mean `{nearest}`? {all}"),
                    None => all.to_owned(),
                };
            }
            Self::NotFound { name, .. }
                if [CIFAR10.name, CIFAR100.name, IMAGENET.name].contains(name) =>
            {
                return format!(
                    "`dnw data fetch {name}` says how to get it; if it is there, say where with `--data DIR` \
                     or the environment variable DNW_DATA"
                );
            }
            Self::NotFound { name, .. } => {
                return format!(
                    "run `dnw data fetch {name}`, or say where the files are with `--data DIR` or the \
                     environment variable DNW_DATA"
                );
            }
            Self::Idx { problem, .. } => idx_help(problem),
            Self::Cifar { problem, .. } => cifar_help(problem),
            Self::Folder { problem, .. } => folder_help(problem),
            Self::Archive { .. } => "the file was probably cut short or altered; get it again",
            Self::BadImages { .. } => {
                "bring the files back, or remove what is no image; `dnw data check NAME` lists all such files"
            }
            Self::InMemory { .. } => "use fewer images, or read them from disk as `imagenet`",
            Self::Transform(problem) => transform_help(problem),
            Self::ByHand { name } if *name == CIFAR10.name => CIFAR10.instructions,
            Self::ByHand { name } if *name == CIFAR100.name => CIFAR100.instructions,
            Self::ByHand { .. } => IMAGENET.instructions,
            Self::Io { .. } => "check that the path exists and that you may use it",
            Self::Counts { .. } => {
                "the two files belong to different sets; delete both and run `dnw data fetch mnist`"
            }
            Self::ImageSize { .. } => {
                "these are files of another data set; choose another folder with `--data DIR`"
            }
            Self::NoImages => "give at least one image of at least one pixel",
            Self::PixelCount { .. } => {
                "give one label for each image, and for each image channels x height x width values"
            }
            Self::PartsDiffer { .. } => "bring the images of both parts to one size",
            Self::LabelRange { .. } => "name every class, or correct the label",
            Self::Statistics { .. } => "compute them from the training images",
            Self::BatchTooLarge { images, .. } => {
                return format!("choose a batch of at most {images}");
            }
            Self::Subset { all, .. } => {
                return format!("choose from 1 to {all} images");
            }
            Self::BatchZero => "choose a batch of 1 or more",
            Self::FirstBatch { .. } => {
                "the saved state belongs to other data or another batch size; resume with its own recipe"
            }
            Self::Thread(_) => "use fewer threads, for example `--threads 1`",
            Self::Download { folder, files, .. } => {
                let mut help = format!(
                    "without a network, put these files into `{}` (as they are or unpacked) and run \
                     `dnw data check mnist`:",
                    folder.display()
                );
                for (file, md5) in files {
                    help += &format!("\n  {file}  (MD5 when unpacked: {md5})");
                }
                return help;
            }
            Self::Occupied { .. } => "move it away, or choose another folder with `--data DIR`",
        };
        fixed.to_owned()
    }
}

fn idx_help(problem: &IdxError) -> &'static str {
    match problem {
        IdxError::Truncated { .. } | IdxError::HeaderCut => {
            "the download was probably cut short; delete the file and run `dnw data fetch mnist` again"
        }
        IdxError::Magic { .. } => {
            "it may be an error page that was saved in place of the file; delete it and run \
             `dnw data fetch mnist`"
        }
        IdxError::Dimensions { .. } => {
            "images and labels may be swapped; compare the names, or delete the files and run \
             `dnw data fetch mnist`"
        }
        IdxError::Io(_) => "check that the file can be read",
        _ => "the file is damaged or of another data set; delete it and run `dnw data fetch mnist`",
    }
}

fn cifar_help(problem: &CifarError) -> &'static str {
    match problem {
        CifarError::Length { .. } => {
            "the file was cut short or is another one; unpack its archive, such as cifar-10-binary.tar.gz, again \
             (`dnw data fetch cifar10` says where it is to be had)"
        }
        CifarError::Io(_) => "check that the file can be read",
        _ => {
            "the file is damaged or of another data set; unpack its archive, such as cifar-10-binary.tar.gz, again \
             (`dnw data fetch cifar10` says where it is to be had)"
        }
    }
}

fn folder_help(problem: &FolderError) -> &'static str {
    match problem {
        FolderError::NoClasses | FolderError::OneClass { .. } => {
            "it needs one folder for each of two or more classes, such as `train/cat/1.jpg` and `train/dog/1.jpg`"
        }
        FolderError::EmptyClasses { .. } => {
            "put images directly into the folder of each class, or remove the folder from both parts"
        }
        FolderError::TooManyClasses { .. } => "check that the folders are those of classes",
        FolderError::Classes { .. } => "give both parts the same folders",
        FolderError::Unlabelled { .. } | FolderError::NoLabel { .. } => {
            "move each image into a folder of its class, or put a file `val_annotations.txt` beside them with a line `IMAGE<TAB>CLASS` for each"
        }
    }
}

fn transform_help(problem: &TransformError) -> &'static str {
    match problem {
        TransformError::VariousSizes { .. } => {
            "show them with a random resized crop in training and a resized centre crop in evaluation"
        }
        TransformError::Shift { .. } => "shift by less than the shorter side",
        _ => "choose a size from 1 to 4096, and one to resize to that is not below it",
    }
}
