//! `dnw predict`: the classes of pictures.

use std::fmt::Write;
use std::path::Path;

use dnw_data::{DataError, DataSet, digits};
use dnw_train::compiled::pictures::{Source, Unusable, find};
use dnw_train::compiled::prediction::{logits_of, top};
use dnw_train::compiled::{ModelFile, ModelFileError};
use dnw_train::training::best_class;

use super::super::compiled_args::PredictArgs;
use super::super::failure::Failure;
use super::super::output::{line, note, print_bytes};

/// Pictures whose results are printed at once.
const AT_ONCE: usize = 256;
/// Built-in digits that are printed for people.
const DIGITS_SHOWN: usize = 10;

impl From<ModelFileError> for Failure {
    fn from(error: ModelFileError) -> Self {
        let help = error.help();
        Self::new(error, help)
    }
}

/// Predicts the classes of pictures. The exit code is 1 if some cannot be used.
pub fn predict(args: &PredictArgs) -> Result<u8, Failure> {
    let file = ModelFile::open(&args.model)?;
    let preparation = file.preparation(&args.model)?;
    if args.images.is_empty() {
        return built_in(&file, args);
    }
    let (sources, mut unusable) = find(&args.images);
    let named = sources.len() + unusable.len();
    for problem in &unusable {
        note(said_of(problem));
    }
    for sources in sources.chunks(AT_ONCE) {
        let read = |index: usize| sources[index].read().map_err(Problem::Source);
        let results = logits_of(&file.model, &preparation, sources.len(), read);
        let mut text = String::new();
        for (source, logits) in sources.iter().zip(results) {
            match logits {
                Ok(logits) => {
                    let shown = Prediction::new(&file, &logits, args.top);
                    text += &match args.json {
                        true => format!("{}\n", shown.to_json(source.path(), source.index(), None)),
                        false => format!("{}: {}\n", place(source), shown.to_words()),
                    };
                }
                Err(problem) => {
                    let problem = problem.of(source);
                    note(said_of(&problem));
                    unusable.push(problem);
                }
            }
        }
        print_bytes(text.as_bytes())?;
    }
    if unusable.is_empty() {
        return Ok(0);
    }
    let what = match unusable.len() {
        all if all == named => "no picture can be used".to_owned(),
        some => format!("{some} of {named} cannot be used; the others were classified"),
    };
    let help = "mend or leave out what is named above; pictures are PNG, JPEG and IDX files";
    note(Failure::new(what, help).to_lines());
    Ok(1)
}

/// Why there is no prediction.
enum Problem {
    Source(Unusable),
    Image(dnw_data::ImageError),
}

impl From<dnw_data::ImageError> for Problem {
    fn from(error: dnw_data::ImageError) -> Self {
        Self::Image(error)
    }
}

impl Problem {
    fn of(self, source: &Source) -> Unusable {
        match self {
            Self::Source(problem) => problem,
            Self::Image(error) => Unusable {
                path: source.path().to_owned(),
                problem: error.to_string(),
            },
        }
    }
}

fn said_of(problem: &Unusable) -> String {
    format!(
        "cannot use `{}`: {}",
        problem.path.display(),
        problem.problem
    )
}

fn place(source: &Source) -> String {
    let path = source.path().display();
    match source.index() {
        None => path.to_string(),
        Some(index) => format!("{path}[{index}]"),
    }
}

/// The most probable classes of a picture.
struct Prediction<'a> {
    file: &'a ModelFile,
    probabilities: Vec<f64>,
    top: Vec<usize>,
}

impl<'a> Prediction<'a> {
    fn new(file: &'a ModelFile, outputs: &[f32], most: u32) -> Self {
        let probabilities = file.probabilities(outputs);
        Self {
            file,
            top: top(&probabilities, most as usize),
            probabilities,
        }
    }

    fn to_words(&self) -> String {
        let mut text = String::new();
        for (i, &class) in self.top.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            let percent = 100.0 * self.probabilities[class];
            let _ = write!(text, "{comma}{} ({percent:.1} %)", self.file.class(class));
        }
        text
    }

    fn to_json(
        &self,
        image: &Path,
        index: Option<usize>,
        label: Option<usize>,
    ) -> serde_json::Value {
        let top = self.top.iter().map(|&class| {
            serde_json::json!({
                "class": self.file.class(class),
                "index": class,
                "probability": self.probabilities[class],
            })
        });
        let mut object = serde_json::json!({
            "image": image.to_string_lossy(),
            "top": top.collect::<Vec<_>>(),
        });
        if let Some(index) = index {
            object["place"] = index.into();
        }
        if let Some(label) = label {
            object["label"] = self.file.class(label).into();
        }
        object
    }
}

/// Classifies the built-in test digits, if the model reads such images.
fn built_in(file: &ModelFile, args: &PredictArgs) -> Result<u8, Failure> {
    let [channels, height, width] = file.model.input().shape;
    let digits: DataSet = digits::open()?;
    if digits.shape() != file.model.input().shape || file.model.output_len() != digits.classes.len()
    {
        return Err(Failure::new(
            format!(
                "no pictures are given, and the model's of {channels} x {height} x {width} are not built in"
            ),
            format!(
                "name pictures or folders: `dnw predict {} cat.png`",
                args.model.display()
            ),
        ));
    }
    let preparation = file.preparation(&args.model)?;
    let count = digits.test.len();
    let results = logits_of(&file.model, &preparation, count, |index| {
        digits.test.picture(index)
    });
    let (mut text, mut right) = (String::new(), 0);
    for (index, (logits, &label)) in results.into_iter().zip(digits.test.labels()).enumerate() {
        let logits = logits.map_err(|problem| DataError::BadImages {
            images: vec![dnw_data::BadImage {
                path: digits.test.place(index),
                problem,
            }],
        })?;
        let label = usize::from(label);
        right += usize::from(best_class(&logits) == label);
        let shown = Prediction::new(file, &logits, args.top);
        if args.json {
            let image = Path::new("built-in digits");
            let _ = writeln!(text, "{}", shown.to_json(image, Some(index), Some(label)));
        } else if index < DIGITS_SHOWN {
            let is = file.class(label);
            let _ = writeln!(text, "test digit {index}, a {is}: {}", shown.to_words());
        }
    }
    print_bytes(text.as_bytes())?;
    if !args.json {
        let percent = 100.0 * right as f64 / count as f64;
        line(format!(
            "..\n{right} of all {count} built-in test digits are classified correctly ({percent:.2} %)"
        ))?;
    }
    Ok(0)
}
