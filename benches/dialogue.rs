//! The protocol of a measuring program.
//!
//! The program first writes one line of JSON that describes it. Then each input line is a number of repetitions, answered by one line of
//! JSON. The program exits at the end of its input. So two programs can be measured alternately without restarts.

use std::fmt::Display;
use std::io::{BufRead, Write};
use std::time::Instant;

use serde::Serialize;

/// The answer to a request.
#[derive(Debug, PartialEq, Serialize)]
pub struct Times {
    /// The duration of each repetition.
    pub milliseconds: Vec<f64>,
}

impl Times {
    /// Runs `work` once untimed, to warm the caches, and then `times` times.
    ///
    /// # Errors
    /// The first error of `work`.
    pub fn of<E>(times: usize, mut work: impl FnMut() -> Result<(), E>) -> Result<Self, E> {
        work()?;
        let mut milliseconds = Vec::with_capacity(times);
        for _ in 0..times {
            let began = Instant::now();
            work()?;
            milliseconds.push(1e3 * began.elapsed().as_secs_f64());
        }
        Ok(Self { milliseconds })
    }
}

/// Writes the description `ready`, then answers requests until the input ends.
///
/// # Errors
/// A message if a request is not a number, a measurement fails, or the output is closed.
pub fn answer<A: Serialize, E: Display>(
    ready: &impl Serialize,
    input: impl BufRead,
    mut output: impl Write,
    mut measure: impl FnMut(usize) -> Result<A, E>,
) -> Result<(), String> {
    line(&mut output, ready)?;
    for request in input.lines() {
        let request = request.map_err(|error| format!("cannot read the next request: {error}"))?;
        let times = request
            .trim()
            .parse()
            .map_err(|_| format!("a request must be a number of repetitions, not `{request}`"))?;
        let answer = measure(times).map_err(|error| error.to_string())?;
        line(&mut output, &answer)?;
    }
    Ok(())
}

fn line(output: &mut impl Write, what: &impl Serialize) -> Result<(), String> {
    let json = serde_json::to_string(what).map_err(|error| error.to_string())?;
    writeln!(output, "{json}")
        .and_then(|()| output.flush())
        .map_err(|error| format!("cannot write the answer: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(requests: &str) -> (Result<(), String>, String) {
        let mut output = Vec::new();
        let done = answer(
            &"ready",
            requests.as_bytes(),
            &mut output,
            |times| match times {
                7 => Err("seven is too many"),
                times => Ok(vec![times; 2]),
            },
        );
        (done, String::from_utf8(output).expect("text"))
    }

    #[test]
    fn every_request_and_every_answer_is_one_line() {
        let (done, text) = answered("3\n 1 \n");
        assert_eq!(done, Ok(()));
        assert_eq!(text, "\"ready\"\n[3,3]\n[1,1]\n");
        assert_eq!(answered(""), (Ok(()), "\"ready\"\n".into()));
    }

    #[test]
    fn a_failed_request_ends_the_program_with_a_message() {
        let (done, text) = answered("2\n7\n3\n");
        assert_eq!(done, Err("seven is too many".into()));
        assert_eq!(text, "\"ready\"\n[2,2]\n");
        let (done, _) = answered("many\n");
        assert!(done.is_err_and(|error| error.contains("`many`")));
    }

    #[test]
    fn the_warm_up_is_not_counted() {
        let mut made = 0;
        let times = Times::of(4, || -> Result<(), ()> {
            made += 1;
            Ok(())
        });
        assert_eq!(
            (times.map(|times| times.milliseconds.len()), made),
            (Ok(4), 5)
        );
    }
}
