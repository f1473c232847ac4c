//! Models from files and from memory, and what is said about those that are none.

mod example;

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use dnw_runtime::file::{FileError, Precision, write};
use dnw_runtime::plan::{AddMaps, Input, Maps, Op, Plan, Step};
use dnw_runtime::{LoadError, MOST_THREADS, Model, RunError, Session};

/// `2 x`, of two pixels.
fn plan() -> Plan {
    let (image, output) = (Maps::new(0, [1, 1, 2]), Maps::new(16, [1, 1, 2]));
    Plan {
        input: Input {
            name: "twice".to_owned(),
            shape: [1, 1, 2],
            classes: vec!["left".to_owned(), "right".to_owned()],
            ..Input::default()
        },
        image,
        output,
        arena: 32,
        constants: vec![],
        steps: vec![Step {
            layer: "twice".to_owned(),
            reason: String::new(),
            op: Op::Add(AddMaps {
                from: vec![(2.0, image)],
                to: output,
                relu: false,
            }),
        }],
    }
}

/// A file in a folder of its own, which is removed in the end.
struct File(PathBuf);

impl File {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let folder = std::env::temp_dir().join(format!("dnw-load-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("model.dnw");
        fs::write(&path, bytes).unwrap();
        Self(path)
    }

    fn error(&self) -> LoadError {
        Model::load(&self.0).unwrap_err()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0.parent().unwrap());
    }
}

#[test]
fn a_model_from_a_file_and_from_memory_computes_what_its_plan_says() -> Result<(), Box<dyn Error>> {
    // Longer than what shows the kind of a file.
    let mut long = plan();
    long.input.classes = vec!["left".repeat(3000), "right".to_owned()];
    for plan in [plan(), long] {
        let bytes = write(&plan, Precision::F32);
        let file = File::new("whole", &bytes);
        for model in [Model::load(&file.0)?, Model::from_bytes(&bytes)?] {
            assert_eq!(model.input(), &plan.input);
            let mut output = [0.0; 4];
            Session::new(&model, 1).run(&[1.0, -2.0, 3.0, 0.5], &mut output)?;
            assert_eq!(output, [2.0, -4.0, 6.0, 1.0]);
        }
    }
    Ok(())
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let missing = PathBuf::from("no/such/model.dnw");
    let error = Model::load(&missing).unwrap_err();
    assert!(matches!(&error, LoadError::Io { path, .. } if *path == missing));
    let start = "cannot read the model `no/such/model.dnw`: ";
    assert!(error.to_string().starts_with(start), "{error}");
    // A folder opens on some systems, and then cannot be read.
    assert!(matches!(
        Model::load(std::env::temp_dir()),
        Err(LoadError::Io { .. })
    ));
}

#[test]
fn a_file_of_another_kind_is_refused_and_a_damaged_one_too() {
    let other = |bytes: &[u8], name| File::new(name, bytes).error();
    assert!(matches!(
        other(b"", "empty"),
        LoadError::File(FileError::Empty)
    ));
    let text = "a text that goes on and on ".repeat(1000);
    assert!(matches!(
        other(text.as_bytes(), "text"),
        LoadError::File(FileError::OtherFormat { .. })
    ));
    let mut bytes = write(&plan(), Precision::F32);
    assert!(matches!(
        other(&bytes[..bytes.len() - 1], "short"),
        LoadError::File(FileError::CutShort { .. })
    ));
    *bytes.last_mut().unwrap() ^= 1;
    assert!(matches!(
        other(&bytes, "flipped"),
        LoadError::File(FileError::Damaged { .. })
    ));
}

// Without an end, so that only reading its start can say what it is.
#[cfg(unix)]
#[test]
fn of_a_file_of_another_kind_only_the_start_is_read() {
    assert!(matches!(
        Model::load("/dev/zero"),
        Err(LoadError::File(FileError::OtherFormat { .. }))
    ));
}

#[test]
fn a_plan_that_overwrites_what_it_reads_is_refused() {
    let mut plan = plan();
    let Op::Add(add) = &mut plan.steps[0].op else {
        unreachable!("it is a sum");
    };
    add.to = plan.image;
    let error = Model::from_bytes(&write(&plan, Precision::F32)).unwrap_err();
    assert!(matches!(error, LoadError::Plan(_)));
    assert_eq!(
        error.to_string(),
        "the compiled model cannot be executed: in layer `twice` a step overwrites what it reads; compile it again"
    );
}

#[test]
fn any_number_of_threads_will_do_and_wrong_lengths_are_errors() -> Result<(), Box<dyn Error>> {
    let model = Model::new(plan())?;
    for threads in [0, 1, 3, MOST_THREADS + 1, usize::MAX] {
        let mut output = [0.0; 2];
        let mut session = Session::new(&model, threads).share_steps_from(0);
        session.run(&[1.0, 2.0], &mut output)?;
        assert_eq!(output, [2.0, 4.0]);
    }
    let mut session = Session::new(&model, 1);
    for len in [0, 1, 3] {
        assert!(matches!(
            session.run(&vec![0.0; len], &mut [0.0; 2]),
            Err(RunError::Input { .. })
        ));
    }
    for len in [0, 1, 3, 4] {
        assert!(matches!(
            session.run(&[0.0; 2], &mut vec![0.0; len]),
            Err(RunError::Output { .. })
        ));
    }
    Ok(())
}

/// A small file from a stranger may ask for gigabytes.
#[test]
fn a_model_that_needs_more_memory_than_allowed_is_refused() {
    let mut plan = plan();
    plan.arena = 1 << 29;
    let bytes = write(&plan, Precision::F32);
    let error = Model::from_bytes(&bytes).unwrap_err();
    assert!(
        matches!(error, LoadError::Memory { needed, limit } if needed == 1 << 31 && limit == 1 << 30),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(
        text.contains("2148 MB") && text.contains("1073 MB"),
        "{text}"
    );

    let file = File::new("large", &bytes);
    assert!(matches!(file.error(), LoadError::Memory { .. }));
    let model = Model::load_within(&file.0, 1 << 31).unwrap();
    assert!(model.clone().within(1 << 31).is_ok());
    assert!(model.within((1 << 31) - 1).is_err());
}
