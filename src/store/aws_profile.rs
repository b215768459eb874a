//! What the AWS command line keeps in `~/.aws`: keys, region and endpoint of the profile in use.
//!
//! Only what stands there in plain text. Keys that a program, a single sign-on or a role would have to be asked for are
//! not.

use std::path::PathBuf;

/// What a profile says; empty where it says nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct AwsProfile {
    pub(super) name: String,
    pub(super) key_id: Option<String>,
    pub(super) secret: Option<String>,
    pub(super) token: Option<String>,
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
    /// Whether one of the files has it.
    is_there: bool,
}

/// Reads the profile that `AWS_PROFILE` names, else `default`; files that are not there say nothing.
pub(super) fn read() -> AwsProfile {
    let name = std::env::var("AWS_PROFILE").ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "default".into());
    let text = |variable: &str, file: &str| {
        let path = std::env::var_os(variable).map(PathBuf::from);
        let path = path.or_else(|| Some(std::env::home_dir()?.join(".aws").join(file)));
        path.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default()
    };
    parse(&text("AWS_SHARED_CREDENTIALS_FILE", "credentials"), &text("AWS_CONFIG_FILE", "config"), &name)
}

fn parse(credentials: &str, config: &str, name: &str) -> AwsProfile {
    let mut profile = AwsProfile { name: name.to_owned(), ..AwsProfile::default() };
    // The credentials file comes first: what it says counts.
    profile.absorb(credentials, name);
    profile.absorb(config, &if name == "default" { name.to_owned() } else { format!("profile {name}") });
    profile
}

impl AwsProfile {
    /// Its name, if somebody named it and no file has it.
    pub(super) fn named_in_vain(&self) -> Option<&str> {
        (!self.is_there && self.name != "default").then_some(&self.name)
    }

    fn absorb(&mut self, text: &str, section: &str) {
        let mut inside = false;
        for line in text.lines() {
            let is_nested = line.starts_with([' ', '\t']);
            let line = line.trim();
            if let Some(header) = line.strip_prefix('[') {
                inside = header.split(']').next().unwrap_or_default().trim() == section;
                self.is_there |= inside;
            }
            let Some((key, value)) = line.split_once('=').filter(|_| inside && !is_nested) else { continue };
            let field = match key.trim() {
                "aws_access_key_id" => &mut self.key_id,
                "aws_secret_access_key" => &mut self.secret,
                "aws_session_token" => &mut self.token,
                "region" => &mut self.region,
                "endpoint_url" => &mut self.endpoint,
                _ => continue,
            };
            field.get_or_insert_with(|| value.trim().to_owned());
        }
    }
}
