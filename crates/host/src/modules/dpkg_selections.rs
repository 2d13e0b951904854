//! `dpkg_selections`: what dpkg is to do with a package: keep it as it is, for one.

use crate::{Arg, Context, Failure, Kind, Module, Outcome, Spec};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct DpkgSelections {
    name: String,
    selection: String,
}

impl Module for DpkgSelections {
    const SPEC: Spec = Spec::new(
        "dpkg_selections",
        "Selects what dpkg does with a package.",
        &[
            Arg::new("name", Kind::Str, "The package.").required(),
            Arg::new("selection", Kind::Str, "The selection.")
                .choices(&["install", "hold", "deinstall", "purge"])
                .required(),
        ],
    );

    fn run(self, cx: &Context) -> Result<Outcome, Failure> {
        let output = cx
            .process("dpkg")
            .args(["--get-selections", &self.name])
            .system()
            .run()?
            .check("cannot ask dpkg for its selections")?;
        // NAME[:ARCH] SELECTION; nothing of a package that was never installed.
        let text = output.stdout_text();
        let before = text
            .lines()
            .next()
            .and_then(|line| line.split_whitespace().nth(1))
            .unwrap_or("not present");
        let changed = before != self.selection;
        if changed && before == "not present" {
            return Err(Failure::new(format!(
                "Failed to find package '{}' to perform selection '{}'.",
                self.name, self.selection
            )));
        }
        if changed && !cx.check() {
            cx.process("dpkg")
                .arg("--set-selections")
                .stdin(format!("{} {}\n", self.name, self.selection).into_bytes())
                .system()
                .run()?
                .check("cannot set the selection")?;
        }
        Ok(Outcome::changed(changed)
            .with("before", before)
            .with("after", self.selection))
    }
}

#[cfg(test)]
mod tests {
    use crate::modules::test::{check, run};
    use serde_json::json;

    #[test]
    fn a_package_is_held_and_let_go() {
        let args = |selection: &str| json!({"name": "base-files", "selection": selection});
        let told = check("dpkg_selections", args("hold"));
        assert!(told.changed && told.data["before"] == "install", "{told:?}");
        assert!(!run("dpkg_selections", args("install")).changed);
        let none = run(
            "dpkg_selections",
            json!({"name": "no-such-package", "selection": "hold"}),
        );
        assert!(none.failed, "{none:?}");
    }
}
