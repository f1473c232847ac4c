//! `dnw serve`: serves this machine's devices.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use dnw_device::{
    Backend, DeviceError, Offer, Opened, RemoteAddress, ServerEvent, TOKEN_VARIABLE, new_token,
};

use super::args::ServeArgs;
use super::device::device;
use super::failure::Failure;
use super::output::{line, note};

/// Serves until stopped.
pub fn serve(args: &ServeArgs) -> Result<u8, Failure> {
    let backend = Backend::Remote;
    if !backend.is_built() {
        return Err(DeviceError::NotBuilt { backend }.into());
    }
    let names = match args.devices.as_slice() {
        [] => std::slice::from_ref(&args.device),
        names => names,
    };
    let devices: Result<Vec<Opened>, Failure> = names.iter().map(|name| device(name)).collect();
    let devices = devices?;
    let token = token(args)?;
    let offer = Offer {
        token: token.as_ref().map(|token| token.text.clone()),
        devices: devices.clone(),
        listen: args.listen,
        key: args.key_file.clone(),
    };
    let new = token.filter(|token| token.is_new).map(|token| token.text);
    dnw_device::serve(&offer, move |event| match event {
        ServerEvent::Listens { address } => {
            // A user who cannot read this cannot use the server, but others may already do so.
            let _ = announce(&address, &devices, new.as_deref());
        }
        ServerEvent::Admitted { client, device } => note(format!("{client} uses device {device}")),
        ServerEvent::Refused { client } => {
            note(format!("{client} was refused: no token, or a wrong one"));
        }
        _ => {}
    })?;
    Ok(0)
}

/// Prints a line for each device, beginning with the name for `--device`, and the token if it is new.
fn announce(
    address: &RemoteAddress,
    devices: &[Opened],
    token: Option<&str>,
) -> Result<(), Failure> {
    for (device, opened) in devices.iter().enumerate() {
        let address = RemoteAddress {
            device,
            ..address.clone()
        };
        line(format!("remote:{address}  {opened}"))?;
    }
    if let Some(token) = token {
        line(format!("{TOKEN_VARIABLE}={token}"))?;
    }
    note("serving until Ctrl-C");
    Ok(())
}

struct Token {
    text: String,
    is_new: bool,
}

fn token(args: &ServeArgs) -> Result<Option<Token>, Failure> {
    if args.without_token {
        return Ok(None);
    }
    if let Some(path) = &args.token_file {
        let text = token_in(path)?;
        return Ok(Some(Token {
            text,
            is_new: false,
        }));
    }
    let variable = std::env::var(TOKEN_VARIABLE).unwrap_or_default();
    let is_new = variable.trim().is_empty();
    let text = if is_new {
        new_token()?
    } else {
        variable.trim().to_owned()
    };
    Ok(Some(Token { text, is_new }))
}

/// The token in a file. If there is no file, writes a new token, readable only by its owner.
fn token_in(path: &Path) -> Result<String, Failure> {
    let cannot = |verb: &str, error: std::io::Error| {
        Failure::new(
            format!("cannot {verb} the token in `{}`: {error}", path.display()),
            "name a file that holds a token, or none yet, in a folder that can be written",
        )
    };
    match fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => {
            let empty = std::io::Error::new(ErrorKind::InvalidData, "the file is empty");
            Err(cannot("use", empty))
        }
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let token = new_token()?;
            let mut options = fs::OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(path).map_err(|error| cannot("write", error))?;
            writeln!(file, "{token}").map_err(|error| cannot("write", error))?;
            Ok(token)
        }
        Err(error) => Err(cannot("read", error)),
    }
}
