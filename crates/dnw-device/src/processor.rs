//! The processor of this machine, by its name.

/// The model of this machine's processor as its maker names it, such as `AMD EPYC 9R14 96-Core Processor`; `None` where it cannot be
/// found out. Together with the vector instructions in use, it decides the bits of what is computed.
pub fn processor() -> Option<String> {
    let name = brand().or_else(of_system)?;
    let words: Vec<&str> = name.split_whitespace().collect();
    Some(words.join(" ")).filter(|name| !name.is_empty())
}

/// The brand string of x86, which the processor itself tells.
#[cfg(target_arch = "x86_64")]
fn brand() -> Option<String> {
    use std::arch::x86_64::__cpuid;

    const FIRST: u32 = 0x8000_0002;
    const LAST: u32 = 0x8000_0004;
    if __cpuid(0x8000_0000).eax < LAST {
        return None;
    }
    let mut bytes = Vec::new();
    for leaf in FIRST..=LAST {
        let found = __cpuid(leaf);
        for register in [found.eax, found.ebx, found.ecx, found.edx] {
            bytes.extend(register.to_le_bytes());
        }
    }
    let text = bytes.split(|&byte| byte == 0).next()?;
    Some(String::from_utf8_lossy(text).into_owned())
}

#[cfg(not(target_arch = "x86_64"))]
fn brand() -> Option<String> {
    None
}

/// What the operating system says.
fn of_system() -> Option<String> {
    if cfg!(target_os = "macos") {
        let arguments = ["-n", "machdep.cpu.brand_string"];
        let found = std::process::Command::new("sysctl")
            .args(arguments)
            .output();
        return String::from_utf8(found.ok()?.stdout).ok();
    }
    if cfg!(windows) {
        return std::env::var("PROCESSOR_IDENTIFIER").ok();
    }
    in_cpuinfo(&std::fs::read_to_string("/proc/cpuinfo").ok()?)
}

/// The first processor of Linux's list: by its name or, on ARM, by the numbers of maker and part.
fn in_cpuinfo(text: &str) -> Option<String> {
    let value = |label: &str| {
        text.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            (found.trim() == label).then(|| value.trim())
        })
    };
    if let Some(name) = value("model name").or_else(|| value("Model")) {
        return Some(name.to_owned());
    }
    let (maker, part) = (value("CPU implementer")?, value("CPU part")?);
    Some(format!("ARM processor, implementer {maker}, part {part}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_names_the_processor_or_its_maker_and_part() {
        let x86 = "processor\t: 0\nmodel\t\t: 85\nmodel name\t: Some CPU @ 2.0GHz\n";
        assert_eq!(in_cpuinfo(x86).unwrap(), "Some CPU @ 2.0GHz");
        let arm = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n";
        let named = "ARM processor, implementer 0x41, part 0xd0c";
        assert_eq!(in_cpuinfo(arm).unwrap(), named);
        assert_eq!(in_cpuinfo("processor : 0\n"), None);
    }

    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    #[test]
    fn the_processor_says_of_itself_what_linux_says_of_it() {
        let linux = std::fs::read_to_string("/proc/cpuinfo").unwrap();
        let linux = in_cpuinfo(&linux).unwrap();
        let words: Vec<&str> = linux.split_whitespace().collect();
        assert_eq!(processor().unwrap(), words.join(" "));
    }
}
