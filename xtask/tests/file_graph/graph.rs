//! The files of a crate and which of them use which.
//!
//! File A uses file B where A, outside of its tests, names an item that is defined in B, in a `use` line or in a path. A name
//! is followed through re-exports and imports to the file that defines it. Declaring a module and re-exporting what a
//! descendant defines is no use, so a parent may list its children.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::{Path, PathBuf};

use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, Item, ItemMod, ItemUse, Lit, Macro, Meta, Token, UseTree, Visibility};

/// Which file uses which, and the name of an item by which it does.
#[derive(Debug, Default)]
pub struct FileGraph {
    uses: BTreeMap<PathBuf, BTreeMap<PathBuf, String>>,
}

impl FileGraph {
    /// Reads the crate whose first file is `root`, and the files of its modules.
    pub fn read(root: &Path) -> Self {
        let mut modules = Modules::default();
        modules.read(root, None, folder(root));
        let mut graph = Self::default();
        for (index, module) in modules.0.iter().enumerate() {
            for (target, name) in modules.used(index) {
                let target = &modules.0[target].file;
                if *target != module.file {
                    let of_file = graph.uses.entry(module.file.clone()).or_default();
                    of_file.entry(target.clone()).or_insert(name);
                }
            }
        }
        graph
    }

    /// A sentence for each cycle that is the shortest through one of its files.
    pub fn cycles(&self) -> Vec<String> {
        let cycles = self.uses.keys().rev().filter_map(|file| self.cycle(file));
        let distinct: BTreeMap<BTreeSet<&Path>, _> = cycles
            .map(|cycle| (cycle.iter().copied().collect(), self.sentence(&cycle)))
            .collect();
        distinct.into_values().collect()
    }

    /// The shortest way from `start` over other files back to it.
    fn cycle<'a>(&'a self, start: &'a Path) -> Option<Vec<&'a Path>> {
        let mut ways = VecDeque::from([vec![start]]);
        let mut seen = BTreeSet::new();
        while let Some(way) = ways.pop_front() {
            for target in self
                .uses
                .get(way[way.len() - 1])
                .into_iter()
                .flat_map(BTreeMap::keys)
            {
                if target == start {
                    return Some(way);
                }
                if seen.insert(target) {
                    ways.push_back([&way[..], &[target.as_path()]].concat());
                }
            }
        }
        None
    }

    fn sentence(&self, cycle: &[&Path]) -> String {
        let mut sentence = cycle[0].display().to_string();
        for (index, file) in cycle.iter().enumerate() {
            let target = cycle[(index + 1) % cycle.len()];
            let comma = if index == 0 { "" } else { ", which" };
            let name = &self.uses[*file][target];
            sentence += &format!("{comma} uses `{name}` of {}", target.display());
        }
        sentence
    }
}

/// A module and what its scope holds.
struct Module {
    file: PathBuf,
    parent: Option<usize>,
    children: HashMap<String, usize>,
    items: Vec<Item>,
    imports: Vec<Import>,
}

/// One name of a `use` line.
#[derive(Debug)]
struct Import {
    path: Vec<String>,
    /// `None` for a glob.
    name: Option<String>,
    exported: bool,
}

/// The modules of a crate, the root first.
#[derive(Default)]
struct Modules(Vec<Module>);

impl Modules {
    /// Reads the module in `file`, whose children lie in `below`.
    fn read(&mut self, file: &Path, parent: Option<usize>, below: &Path) -> usize {
        let text = std::fs::read_to_string(file).map_err(|error| error.to_string());
        let parsed =
            text.and_then(|text| syn::parse_file(&text).map_err(|error| error.to_string()));
        let parsed = parsed.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        self.add(file, parent, below, parsed.items)
    }

    fn add(&mut self, file: &Path, parent: Option<usize>, below: &Path, body: Vec<Item>) -> usize {
        let module = self.0.len();
        self.0.push(Module {
            file: file.to_owned(),
            parent,
            children: HashMap::new(),
            items: Vec::new(),
            imports: Vec::new(),
        });
        for item in body {
            match item {
                Item::Mod(declared) if !is_test(&declared.attrs) => {
                    let name = declared.ident.to_string();
                    let child = self.add_child(module, below, declared);
                    self.0[module].children.insert(name, child);
                }
                Item::Use(line) if !is_test(&line.attrs) => {
                    self.0[module].imports.extend(imports(&line));
                }
                Item::Mod(_) | Item::Use(_) => {}
                item => self.0[module].items.push(item),
            }
        }
        module
    }

    fn add_child(&mut self, parent: usize, below: &Path, declared: ItemMod) -> usize {
        let name = declared.ident.to_string();
        let file = self.0[parent].file.clone();
        if let Some((_, body)) = declared.content {
            return self.add(&file, Some(parent), &below.join(name), body);
        }
        if let Some(path) = declared.attrs.iter().find_map(path_attribute) {
            let path = folder(&file).join(path);
            return self.read(&path, Some(parent), folder(&path));
        }
        let flat = below.join(format!("{name}.rs"));
        let nested = below.join(&name);
        let child = if flat.exists() {
            flat
        } else {
            nested.join("mod.rs")
        };
        self.read(&child, Some(parent), &nested)
    }

    /// The modules that define what `module` names, each with the name.
    fn used(&self, module: usize) -> Vec<(usize, String)> {
        let Module { items, imports, .. } = &self.0[module];
        let mut names = Names::default();
        items.iter().for_each(|item| names.visit_item(item));
        let of_imports = (imports.iter().chain(&names.imports)).map(|import| {
            let target = self
                .find(module, &import.path)
                .filter(|&target| !(import.exported && self.is_within(target, module)));
            (target, &import.path)
        });
        let of_paths = names
            .paths
            .iter()
            .map(|path| (self.find(module, path), path));
        of_imports
            .chain(of_paths)
            .filter_map(|(target, path)| Some((target?, path.last()?.clone())))
            .collect()
    }

    fn is_within(&self, module: usize, ancestor: usize) -> bool {
        let parents = std::iter::successors(Some(module), |&module| self.0[module].parent);
        parents.into_iter().any(|module| module == ancestor)
    }

    /// The module that defines the item at `path`, which is written in `module`.
    fn find(&self, module: usize, path: &[String]) -> Option<usize> {
        self.follow(module, path, &mut Vec::new())
    }

    /// [`find`](Self::find), where `followed` has the imports on the way, none of which is followed twice.
    fn follow(
        &self,
        module: usize,
        path: &[String],
        followed: &mut Vec<*const Import>,
    ) -> Option<usize> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => return self.follow(0, rest, followed),
            "self" => return self.follow(module, rest, followed),
            "super" => return self.follow(self.0[module].parent?, rest, followed),
            _ => {}
        }
        let scope = &self.0[module];
        if scope.items.iter().any(|item| defines(item, first)) {
            return Some(module);
        }
        if let Some(&child) = scope.children.get(first) {
            return self.follow(child, rest, followed);
        }
        scope.imports.iter().find_map(|import| {
            let path = match &import.name {
                Some(name) if name == first => [&import.path, rest].concat(),
                Some(_) => return None,
                None => [&import.path, path].concat(),
            };
            if followed.iter().any(|&other| std::ptr::eq(other, import)) {
                return None;
            }
            followed.push(import);
            self.follow(module, &path, followed)
        })
    }
}

/// The paths within items, and the `use` lines within functions.
#[derive(Debug, Default)]
struct Names {
    paths: Vec<Vec<String>>,
    imports: Vec<Import>,
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if !is_test(&item.attrs) {
            visit::visit_item_impl(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, line: &'ast ItemUse) {
        self.imports.extend(imports(line));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter();
        self.paths
            .push(segments.map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        visit::visit_macro(self, call);
        let arguments = call.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated);
        for argument in arguments.into_iter().flatten() {
            // What was parsed here does not live as long as the file.
            let mut names = Names::default();
            names.visit_expr(&argument);
            self.paths.extend(names.paths);
        }
    }

    fn visit_attribute(&mut self, _: &'ast Attribute) {}
}

fn folder(file: &Path) -> &Path {
    file.parent().expect("a file lies in a folder")
}

/// Whether this is compiled for tests alone.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => list
            .parse_args::<syn::Path>()
            .is_ok_and(|path| path.is_ident("test")),
        _ => false,
    })
}

fn path_attribute(attribute: &Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            Expr::Lit(value) => match &value.lit {
                Lit::Str(path) => Some(path.value()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

fn defines(item: &Item, name: &str) -> bool {
    let defined = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => match &item.ident {
            Some(name) => name,
            None => return false,
        },
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return false,
    };
    defined == name
}

fn imports(line: &ItemUse) -> Vec<Import> {
    let exported = !matches!(line.vis, Visibility::Inherited);
    let mut imports = Vec::new();
    // A path that begins with `::` names another crate.
    if line.leading_colon.is_none() {
        add_imports(&line.tree, &[], exported, &mut imports);
    }
    imports
}

fn add_imports(tree: &UseTree, before: &[String], exported: bool, imports: &mut Vec<Import>) {
    let path = |name: &syn::Ident| [before, &[name.to_string()]].concat();
    let mut add = |path: Vec<String>, name| {
        imports.push(Import {
            path,
            name,
            exported,
        })
    };
    match tree {
        UseTree::Path(tree) => add_imports(&tree.tree, &path(&tree.ident), exported, imports),
        UseTree::Group(group) => {
            for tree in &group.items {
                add_imports(tree, before, exported, imports);
            }
        }
        UseTree::Glob(_) => add(before.to_vec(), None),
        UseTree::Rename(tree) => add(path(&tree.ident), Some(tree.rename.to_string())),
        UseTree::Name(tree) if tree.ident == "self" => {
            add(before.to_vec(), before.last().cloned());
        }
        UseTree::Name(tree) => add(path(&tree.ident), Some(tree.ident.to_string())),
    }
}
