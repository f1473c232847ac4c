//! How a measuring program answers one that asks.
//!
//! It says in one line of JSON what it is and that it is ready. Each line that it reads then is a number of times, and is answered by
//! one line of JSON. It ends with its input. So two programs can be measured in turn without being started again each time.

use std::fmt::Display;
use std::io::{BufRead, Write};
use std::time::Instant;

use serde::Serialize;

/// The answer to a request for so many times.
#[derive(Debug, PartialEq, Serialize)]
pub struct Times {
    /// One for each.
    pub milliseconds: Vec<f64>,
}

impl Times {
    /// Does something once untimed, because others have had the caches in between, and then so many times.
    ///
    /// # Errors
    /// The work's own.
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

/// Says what it is, and answers until the input ends.
///
/// # Errors
/// A sentence, if a request is no number, or what is asked for fails, or nobody reads any more.
pub fn answer<A: Serialize, E: Display>(
    ready: &impl Serialize,
    input: impl BufRead,
    mut output: impl Write,
    mut measure: impl FnMut(usize) -> Result<A, E>,
) -> Result<(), String> {
    line(&mut output, ready)?;
    for request in input.lines() {
        let request =
            request.map_err(|error| format!("the next request cannot be read: {error}"))?;
        let times = request
            .trim()
            .parse()
            .map_err(|_| format!("a request is a number of times, and not `{request}`"))?;
        let answer = measure(times).map_err(|error| error.to_string())?;
        line(&mut output, &answer)?;
    }
    Ok(())
}

fn line(output: &mut impl Write, what: &impl Serialize) -> Result<(), String> {
    let json = serde_json::to_string(what).map_err(|error| error.to_string())?;
    writeln!(output, "{json}")
        .and_then(|()| output.flush())
        .map_err(|error| format!("nobody reads the answers: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(requests: &str) -> (Result<(), String>, String) {
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
    fn every_request_is_one_line_and_so_is_its_answer() {
        let (done, text) = said("3\n 1 \n");
        assert_eq!(done, Ok(()));
        assert_eq!(text, "\"ready\"\n[3,3]\n[1,1]\n");
        assert_eq!(said(""), (Ok(()), "\"ready\"\n".into()));
    }

    #[test]
    fn what_cannot_be_answered_ends_it_with_a_sentence() {
        let (done, text) = said("2\n7\n3\n");
        assert_eq!(done, Err("seven is too many".into()));
        assert_eq!(text, "\"ready\"\n[2,2]\n");
        let (done, _) = said("many\n");
        assert!(done.is_err_and(|error| error.contains("`many`")));
    }

    #[test]
    fn the_time_before_the_first_is_not_counted() {
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
