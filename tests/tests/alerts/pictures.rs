//! Pictures of the dashboards, for those who ask for them: they need npm's packages.

use std::{env, path::PathBuf};

use tests::{
    Namespace,
    command::{output, program, text},
};

use super::HOST;

/// Draws the dashboards of the time between into `docs/dashboards`, if `BACKUPFLOW_RENDER` is a copy of
/// `deploy/grafana` with the packages of its `render` in it.
pub(super) fn draw(namespace: &Namespace, start: i64, end: i64) {
    let Some(folder) = env::var_os("BACKUPFLOW_RENDER") else { return };
    let pictures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/dashboards");
    let output = output(
        program("nsenter")
            .arg(format!("--net={}", namespace.path().display()))
            .args(["--", "node", "render.mjs", "--prometheus", "http://127.0.0.1:9090"])
            .args(["--start", &start.to_string(), "--end", &end.to_string()])
            .args(["--var", &format!("instance={HOST}"), "--var", "flow=mssql-vdi-11113"])
            .arg("--out")
            .arg(pictures)
            .current_dir(PathBuf::from(folder).join("render")),
    );
    assert!(output.status.success(), "{:?}", text(&output));
}
