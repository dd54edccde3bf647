//! A file of the catalog: its types, the lint and the facts.

use catalog::{Catalog, Product};

/// Takes a product.
pub fn catalog(bytes: &[u8]) {
    let Ok(product) = toml::from_str::<Product>(&String::from_utf8_lossy(bytes)) else { return };
    let catalog = Catalog { products: vec![product] };
    let facts = catalog.facts();
    assert!(facts.is_sorted(), "facts are not in order");
    drop(catalog.lint());
}
