use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::*;

/// `lightning-1` and zero bytes: what Core Lightning's test framework gives its first node, and the id it has there.
const LIGHTNING_1: &str = "0266e4598d1d3c415f572a8488830b60f7e744ed9235eb0b1ba93283b315c03518";
/// Computed outside of this project with Python's `hashlib.pbkdf2_hmac`, `hmac` and affine curve arithmetic.
const MNEMONICS: [(&str, &str); 2] = [
    (
        "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about",
        "03653e90c1ce4660fd8505dd6d643356e93cfe202af109d382787639dd5890e87d",
    ),
    (
        "legal winner thank year wave sausage worth useful legal winner thank yellow",
        "023d304e610cddddfb7d89005ef65df730d01f24a3dfac788c927787a7cb9c4cca",
    ),
];
/// The first mnemonic with the passphrase `correct horse`.
const WITH_PASSPHRASE: &str = "030483da7a8a18255fc44c894a209bb563c4f695313afc9b5f10a2aa09edcd19fa";

fn id_of(contents: &[u8], passphrase: Option<&str>) -> Result<String, IdentityError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hsm_secret");
    fs::write(&path, contents).unwrap();
    let id = Identity::load(&path, passphrase).map(|identity| identity.node_id().to_string());
    assert_eq!(fs::read(&path).unwrap(), contents, "the file was changed");
    id
}

fn with_words(prefix: [u8; 32], words: &str) -> Vec<u8> {
    [&prefix[..], words.as_bytes()].concat()
}

#[test]
fn a_plain_secret_gives_core_lightnings_node_id() {
    let mut secret = [0; 32];
    secret[..11].copy_from_slice(b"lightning-1");
    assert_eq!(id_of(&secret, None).unwrap(), LIGHTNING_1);
    assert!(matches!(id_of(&secret, Some("x")), Err(IdentityError::PassphraseNotNeeded { .. })));
}

#[test]
fn a_mnemonic_gives_core_lightnings_node_id() {
    for (words, id) in MNEMONICS {
        assert_eq!(id_of(&with_words([0; 32], words), None).unwrap(), id);
        assert_eq!(id_of(&with_words([0; 32], &format!("{words}\n")), None).unwrap(), id);
        assert!(matches!(
            id_of(&with_words([0; 32], words), Some("x")),
            Err(IdentityError::PassphraseNotNeeded { .. })
        ));
    }
}

/// What Core Lightning's own tests expect of `makesecret` for the text `scb secret`: of its first and fifth test node, whose
/// files hold these words.
#[test]
fn derived_secrets_are_core_lightnings() {
    let begin = "hockey enroll sure trip track rescue original";
    for (words, secret) in [
        (
            "plate abandon abandon abandon account",
            "498a16a6c6b82b7280de7f5b0afa0478b29d3a1cbe52c376249cf46abb6c03da",
        ),
        (
            "pluck abandon abandon abandon access",
            "80eebdbc5ec75ba007e26deea7a0392d0e413b38a0eedb99b4e3ec7d6d181038",
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hsm_secret");
        fs::write(&path, with_words([0; 32], &format!("{begin} {words}"))).unwrap();
        let (_, secrets) = Identity::load(&path, None).unwrap().into_parts();
        assert_eq!(hex(secrets.derive_secret(b"scb secret").expose()), secret);
        assert_ne!(hex(secrets.derive_secret(b"scb secreu").expose()), secret);
    }
    // Of a plain file: computed outside of this project with Python's `hmac`.
    let plain = |bytes: [u8; 32]| Identity::from_secret(&Secret::new(bytes)).unwrap().into_parts().1;
    let mut bytes = [0; 32];
    bytes[..11].copy_from_slice(b"lightning-1");
    assert_eq!(
        hex(plain(bytes).derive_secret(b"scb secret").expose()),
        "a9a2e742405c28f059349132923a99337ae7f71168b7485496e3365f5bc664ed"
    );
}

/// From the examples of Core Lightning's documentation, whose second test node made them.
#[test]
fn signatures_of_messages_are_core_lightnings() {
    let words = "hockey enroll sure trip track rescue original play abandon abandon abandon achieve";
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hsm_secret");
    fs::write(&path, with_words([0; 32], words)).unwrap();
    let (key, _) = Identity::load(&path, None).unwrap().into_parts();
    let id = key.node_id();
    assert_eq!(id.to_string(), "033845802d25b4e074ccfd7cd8b339a41dc75bf9978a034800444b51d42b07799a");
    for (message, recovery_id, compact) in [
        (
            "this is a test!",
            0,
            "b313a7ef5cec27f8be4e6389d208a5646ce3fa8fde4c5a2b84cf5d92e2c997f1\
             4f1c53fd72897f2025add34939d918a2abd2e2f675c4402b106f7777b364f85b",
        ),
        (
            "message for you",
            1,
            "a797422126bb3ecee680e2edc8a4c5afc6ebaf2a05a03c37e5ab62214ea5edc0\
             5a7db3b45ee8db4c022e6765b7258c82d0c769c8798e0c6baeb94f6fa9275302",
        ),
    ] {
        let signature = key.sign_message(message.as_bytes());
        assert_eq!((signature.recovery_id(), hex(signature.compact()).as_str()), (recovery_id, compact));
        assert_eq!(signature.signer(message.as_bytes()), Some(id));
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

#[test]
fn a_passphrase_is_checked_against_the_hash_in_the_file() {
    let (words, _) = MNEMONICS[0];
    let seed = bip39::Mnemonic::parse_normalized(words).unwrap().to_seed_normalized("correct horse");
    let contents = with_words(Sha256::digest(seed).into(), words);
    assert_eq!(id_of(&contents, Some("correct horse")).unwrap(), WITH_PASSPHRASE);
    assert!(matches!(id_of(&contents, Some("wrong horse")), Err(IdentityError::WrongPassphrase { .. })));
    assert!(matches!(id_of(&contents, None), Err(IdentityError::PassphraseNeeded { .. })));
}

#[test]
fn what_is_no_secret_is_refused_and_says_why() {
    let (words, _) = MNEMONICS[0];
    let of = |contents: &[u8]| id_of(contents, None).unwrap_err();
    assert!(matches!(of(b""), IdentityError::WrongSize { len: 0, .. }));
    assert!(matches!(of(&[7; 31]), IdentityError::WrongSize { len: 31, .. }));
    assert!(matches!(of(&[7; 33]), IdentityError::WrongSize { len: 33, .. }));
    // Letters alone make no mnemonic.
    assert!(matches!(of(&[b'a'; 33]), IdentityError::WrongSize { len: 33, .. }));
    assert!(matches!(of(&with_words([7; 32], "not a mnemonic")), IdentityError::WrongSize { len: 46, .. }));
    let misspelt = with_words([7; 32], &words.replace("about", "abandon"));
    assert!(matches!(of(&misspelt), IdentityError::BadMnemonic { .. }));
    // A secret that went through an editor.
    assert!(matches!(of(&with_words([7; 32], "\n")), IdentityError::WrongSize { len: 33, .. }));
    assert!(matches!(of(&vec![7; 100_000]), IdentityError::WrongSize { len: 100_000, .. }));
    assert!(matches!(of(&[0; 32]), IdentityError::Zeros { .. }));
    assert!(matches!(of(&[7; 73]), IdentityError::Encrypted { .. }));
    let bad = |words: &str| of(&with_words([0; 32], words)).to_string();
    assert!(bad(&words.replace("about", "abandon")).contains("checksum"));
    assert!(bad(&words.replace("about", "satoshii")).contains("not in the English list"));
    assert!(bad("abandon abandon").contains("not 12, 15, 18, 21 or 24 words"));
    assert!(bad(&words.replace("abandon about", "abandon  about")).contains("single spaces"));
    assert!(
        !bad(&words.replace("about", "satoshii")).contains("satoshii"),
        "a word of the secret was printed"
    );
}

#[test]
fn a_new_file_is_private_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b/hsm_secret");
    let made = Identity::load_or_create(&path).unwrap();
    let mode_of = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode_of(&path), 0o400);
    assert_eq!(mode_of(path.parent().unwrap()), 0o700);
    assert_eq!(fs::read(&path).unwrap().len(), 32);
    assert_eq!(Identity::load_or_create(&path).unwrap().node_id(), made.node_id());
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "a temporary file was left behind");
}

#[test]
fn starting_at_once_gives_one_identity() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hsm_secret");
    let ids: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| Identity::load_or_create(&path).unwrap().node_id())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]));
}

#[test]
fn what_is_not_a_file_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let link = directory.path().join("link");
    symlink(directory.path().join("nowhere"), &link).unwrap();
    assert!(matches!(Identity::load_or_create(&link), Err(IdentityError::DanglingLink { .. })));
    assert!(!directory.path().join("nowhere").exists());

    let error = Identity::load_or_create(directory.path()).unwrap_err();
    assert!(matches!(error, IdentityError::NotAFile { found: "a directory", .. }));
    assert!(error.to_string().contains(&directory.path().display().to_string()));

    let file = directory.path().join("file");
    fs::write(&file, [7; 32]).unwrap();
    assert!(matches!(Identity::load_or_create(&file.join("below")), Err(IdentityError::Io { .. })));
    symlink(&file, directory.path().join("good")).unwrap();
    assert!(Identity::load_or_create(&directory.path().join("good")).is_ok());

    // A directory that lets nobody in. The administrator may do everything, so this says nothing when run as root.
    let closed = directory.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o000)).unwrap();
    let refused = Identity::load_or_create(&closed.join("hsm_secret"));
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
    match refused {
        Err(IdentityError::Io { error, .. }) => {
            assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
        }
        Ok(_) => assert!(fs::metadata(closed.join("hsm_secret")).is_ok()),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn nothing_secret_is_printed() {
    let bytes = [0xa7; 32];
    let identity = Identity::from_secret(&Secret::new(bytes)).unwrap();
    let printed = format!("{identity:?}");
    let (key, secrets) = identity.into_parts();
    let printed = format!("{printed} {key:?} {secrets:?} {:?}", Secret::new(bytes));
    let derived = secrets.derive_secret(b"anything");
    for secret in [&bytes[..4], &derived.expose()[..4]] {
        let hex = secret.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        assert!(!printed.contains(&hex), "{printed}");
        assert!(!printed.contains(format!("{secret:?}").trim_matches(['[', ']'])), "{printed}");
    }
}
