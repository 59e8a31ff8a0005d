//! The oldest Rust that the workspace promises to build with is Debian 13's, 1.85; nobody who works on it uses that.
//!
//! Newer library calls are found by clippy (`incompatible_msrv`). Newer syntax is not: chains of `let` came with 1.88. Nor
//! does a newer clippy mind shifts beside bit operations without parentheses, which 1.85's refuses.

use std::{
    fs,
    path::{Path, PathBuf},
};

use syn::{BinOp, Expr, ExprBinary, spanned::Spanned as _, visit::Visit};

#[derive(Debug, Default)]
struct TooNew(Vec<usize>);

impl<'ast> Visit<'ast> for TooNew {
    fn visit_expr_binary(&mut self, binary: &'ast ExprBinary) {
        let is_let = |side: &Expr| matches!(side, Expr::Let(_));
        let is_shift = |side: &Expr| match side {
            Expr::Binary(inner) => matches!(inner.op, BinOp::Shl(_) | BinOp::Shr(_)),
            _ => false,
        };
        let either = |is: &dyn Fn(&Expr) -> bool| is(&binary.left) || is(&binary.right);
        let found = match binary.op {
            BinOp::And(_) => either(&is_let),
            BinOp::BitAnd(_) | BinOp::BitOr(_) | BinOp::BitXor(_) => either(&is_shift),
            _ => false,
        };
        if found {
            self.0.push(binary.span().start().line);
        }
        syn::visit::visit_expr_binary(self, binary);
    }
}

/// Lines of a source that the oldest Rust or its clippy refuses.
#[allow(clippy::expect_used, reason = "a test helper")]
fn too_new(source: &str) -> Vec<usize> {
    let file = syn::parse_file(source).expect("valid Rust");
    let mut found = TooNew::default();
    found.visit_file(&file);
    found.0
}

/// Every Rust file of the workspace.
#[allow(clippy::expect_used, reason = "a test helper")]
fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn a_chain_is_found() {
    assert_eq!(too_new("fn f(a: Option<u8>) {\n if let Some(b) = a && b > 1 {}\n}"), [2]);
    assert_eq!(too_new("fn f(a: Option<u8>) { while a.is_some() && let Some(1) = a {} }"), [1]);
    assert!(too_new("fn f(a: Option<u8>) { if let Some(b) = a { let _ = b > 1 && b < 3; } }").is_empty());
}

#[test]
fn a_shift_beside_a_bit_operation_is_found() {
    assert_eq!(too_new("fn f(a: u64) -> u64 {\n a << 32 | 1 }"), [2]);
    assert_eq!(too_new("fn f(a: u64) -> u64 { 3 & a >> 2 }"), [1]);
    assert!(too_new("fn f(a: u64) -> u64 { (a << 32) | (1 & 3) }").is_empty());
}

#[test]
fn no_source_has_syntax_newer_than_the_oldest_rust() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut all = Vec::new();
    sources(root, &mut all);
    assert!(all.len() > 100, "{} files are not the whole workspace", all.len());
    let found: Vec<String> = all
        .iter()
        .flat_map(|path| {
            let source = fs::read_to_string(path).expect("a file");
            let lines = too_new(&source);
            lines.into_iter().map(|line| format!("{}:{line}", path.display())).collect::<Vec<_>>()
        })
        .collect();
    assert!(
        found.is_empty(),
        "Rust 1.85 knows no `if let ... && ...`, and its clippy wants `(a << 1) | b`: {found:#?}"
    );
}
