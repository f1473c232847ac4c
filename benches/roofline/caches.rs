//! The cache sizes, if the system reports them.

use std::path::Path;

/// A data cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// The level, 1 for the one nearest to the core.
    pub level: usize,
    /// Bytes per computing thread.
    pub bytes: usize,
}

/// The data caches of the first core, from level 1 on; common sizes if the system does not report them.
pub fn caches(threads: usize) -> Vec<Cache> {
    let found = of_linux(Path::new("/sys/devices/system/cpu/cpu0/cache"), threads);
    if found.is_empty() {
        return [(1, 32 << 10), (2, 512 << 10), (3, (8 << 20) / threads)]
            .map(|(level, bytes)| Cache { level, bytes })
            .to_vec();
    }
    found
}

fn of_linux(folder: &Path, threads: usize) -> Vec<Cache> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<Cache> = entries
        .filter_map(|entry| of_entry(&entry.path(), threads))
        .collect();
    found.sort_by_key(|cache| cache.level);
    found
}

fn of_entry(folder: &Path, threads: usize) -> Option<Cache> {
    let read = |name: &str| {
        let text = std::fs::read_to_string(folder.join(name)).ok()?;
        Some(text.trim().to_owned())
    };
    if read("type")? == "Instruction" {
        return None;
    }
    let size = read("size")?;
    let kib: usize = size.strip_suffix('K')?.parse().ok()?;
    let sharing = read("shared_cpu_list").map_or(1, |list| cores(&list));
    Some(Cache {
        level: read("level")?.parse().ok()?,
        bytes: (kib << 10) / sharing.clamp(1, threads.max(1)),
    })
}

/// The number of cores in a list such as `0-3,8`.
fn cores(list: &str) -> usize {
    let count = |range: &str| -> Option<usize> {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        Some(last.checked_sub(first)? + 1)
    };
    list.split(',').filter_map(count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores_are_counted() {
        assert_eq!(
            [cores("0"), cores("0-3,8"), cores("0,4"), cores("")],
            [1, 5, 2, 0]
        );
    }

    #[test]
    fn a_shared_cache_is_divided_among_the_computing_threads() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = [
            ("index0", "1", "Data", "48K", "0"),
            ("index1", "1", "Instruction", "64K", "0"),
            ("index2", "3", "Unified", "1024K", "0-7"),
        ];
        for (name, level, kind, size, shared) in files {
            let entry = folder.path().join(name);
            std::fs::create_dir(&entry).expect("a folder");
            let named = [
                ("level", level),
                ("type", kind),
                ("size", size),
                ("shared_cpu_list", shared),
            ];
            for (file, text) in named {
                std::fs::write(entry.join(file), format!("{text}\n")).expect("a file");
            }
        }
        let found = of_linux(folder.path(), 2);
        let cache = |level, bytes| Cache { level, bytes };
        assert_eq!(found, [cache(1, 48 << 10), cache(3, 512 << 10)]);
        assert_eq!(of_linux(&folder.path().join("none"), 2), []);
    }
}
