// SPDX-License-Identifier: Apache-2.0
// hf-hub-1 CONNECTIONS ORG/NAME@COMMIT...: whole snapshots into $HF_HOME from $HF_ENDPOINT, one repository after the
// other as its own users do it.
use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let connections: usize = arguments.next().ok_or("how many connections?")?.parse()?;
    let client = hf_hub::HFClient::new()?;
    for argument in arguments {
        let (id, commit) = argument.split_once('@').ok_or("want ORG/NAME@COMMIT")?;
        let (owner, name) = hf_hub::split_id(id);
        let repo = client.model(owner, name);
        repo.snapshot_download().revision(commit).max_workers(connections).send().await?;
    }
    Ok(())
}
