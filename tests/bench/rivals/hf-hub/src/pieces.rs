// SPDX-License-Identifier: Apache-2.0
// hf-hub-0 CONNECTIONS ORG/NAME@COMMIT...: the same with the old line, which fetches one file after the other, each
// in pieces of 10 MB on many connections at once.
use hf_hub_pieces::api::tokio::ApiBuilder;
use hf_hub_pieces::{Repo, RepoType};
use std::error::Error;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let connections: usize = arguments.next().ok_or("how many connections?")?.parse()?;
    let api = ApiBuilder::from_env().with_progress(false).with_max_files(connections).build()?;
    for argument in arguments {
        let (id, commit) = argument.split_once('@').ok_or("want ORG/NAME@COMMIT")?;
        let repo = api.repo(Repo::with_revision(id.to_string(), RepoType::Model, commit.to_string()));
        for file in repo.info().await?.siblings {
            repo.get(&file.rfilename).await?;
        }
    }
    Ok(())
}
