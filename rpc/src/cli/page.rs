//! The page of one method as text, made from what the method says about itself.

use crate::method::{Example, Method};

/// Name, parameters, what it does, examples.
pub(super) fn text(method: &Method) -> String {
    let mut parts =
        vec![format!("{}\n{}\n\n{}\n", method.usage().trim_end(), underline(method), method.summary)];
    if !method.params.is_empty() {
        parts.push("\nParameters\n".to_owned());
    }
    parts.extend(method.params.iter().map(|param| format!("  {param} ({}): {}\n", param.kind, param.about)));
    parts.push(format!("\n{}\n", method.page));
    parts.extend(method.examples.iter().map(|Example { about, params, result }| {
        format!("\nExample: {about}\n  params  {params}\n  result  {result}\n")
    }));
    parts.concat()
}

fn underline(method: &Method) -> String {
    "=".repeat(method.usage().trim_end().len())
}

#[cfg(test)]
mod tests {
    use super::text;
    use crate::method::METHODS;

    #[test]
    fn every_method_has_a_page_with_all_its_parameters() {
        for method in METHODS {
            let page = text(method);
            assert!(page.starts_with(method.name) && page.contains(method.page), "{page}");
            for param in method.params {
                assert!(page.contains(param.about), "{}: {page}", param.name);
            }
        }
    }
}
