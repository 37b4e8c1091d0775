# SPDX-License-Identifier: Apache-2.0
"""Keys, certificates and signatures of models, made by the openssl program and by PyPI's model-signing.

As a program, in the environment build/venv-signing:
    signing.py fixtures FOLDER                      writes the signatures that the C++ tests read
    signing.py judge SIGNER MODEL SIGNATURE...      prints for each signature, as JSON, whether model-signing accepts it
    signing.py past-chain FOLDER                    makes root.crt and signer.crt, which ended years ago
    signing.py sign-as METHOD HASH KEY MODEL        signs in a form that the command line does not offer
"""

import json
import logging
import pathlib
import subprocess
import sys
import tempfile

CURVES = {"p256": "P-256", "p384": "P-384", "p521": "P-521"}

#: Extensions of certificates. The last three are not for signing.
AUTHORITY = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n"
SIGNER = "keyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n"
USAGE_ONLY = "keyUsage=digitalSignature\n"
CODE_ONLY = "extendedKeyUsage=codeSigning\n"
FOR_SERVERS = "keyUsage=digitalSignature\nextendedKeyUsage=serverAuth\n"
NO_SIGNATURES = "keyUsage=keyAgreement\n"
NO_USAGE = "basicConstraints=CA:FALSE\n"


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_key(folder, name, curve="P-256"):
    """NAME.key, in the form that model-signing reads, and NAME.pem, its public key."""
    openssl(folder, "genpkey", "-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{curve}", "-out", f"{name}.key")
    openssl(folder, "pkey", "-in", f"{name}.key", "-pubout", "-out", f"{name}.pem")


def make_certificate(folder, name, extensions, issuer=None, curve="P-256", days=36500):
    """NAME.crt for a new key, signed by ISSUER or by itself."""
    make_key(folder, name, curve)
    (folder / f"{name}.ext").write_text(extensions)
    openssl(folder, "req", "-new", "-key", f"{name}.key", "-subj", f"/CN={name}", "-out", f"{name}.csr")
    by = ["-CA", f"{issuer}.crt", "-CAkey", f"{issuer}.key"] if issuer else ["-signkey", f"{name}.key"]
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", *by, "-extfile", f"{name}.ext", "-days", str(days),
            "-CAcreateserial" if issuer else "-sha256", "-out", f"{name}.crt")


def make_chain(folder, signer=SIGNER, name="signer", curve="P-256"):
    """root.crt, between.crt and NAME.crt, each signed by the one before."""
    if not (folder / "root.crt").exists():
        make_certificate(folder, "root", AUTHORITY)
        make_certificate(folder, "between", AUTHORITY, "root")
    make_certificate(folder, name, signer, "between", curve)


def sign(venv, model, *arguments):
    """Signs the folder with the command line of model-signing: `key --private_key FILE` or `certificate …`."""
    method, *rest = map(str, arguments)
    program = pathlib.Path(venv) / "bin" / "model_signing"
    command = [program, "sign", method, str(model), *rest, "--signature", str(model / "model.sig")]
    subprocess.run(command, check=True, capture_output=True, cwd=model.parent)


def with_certificate(folder, name="signer", chain=("between",)):
    """The arguments of `sign` for a certificate of that folder."""
    arguments = ["--private_key", folder / f"{name}.key", "--signing_certificate", folder / f"{name}.crt"]
    for other in chain:
        arguments += ["--certificate_chain", folder / f"{other}.crt"]
    return ["certificate", *arguments]


def judge(venv, signer, model, signatures):
    """For each signature whether model-signing accepts it for the folder; SIGNER is a public key or a certificate."""
    command = [venv / "bin" / "python", "-B", __file__, "judge", signer, model, *signatures]
    result = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
    return json.loads(result.stdout)


def make_past_chain(venv, folder):
    command = [venv / "bin" / "python", "-B", __file__, "past-chain", str(folder)]
    subprocess.run(command, check=True, capture_output=True)


def sign_as(venv, method, algorithm, key, model):
    command = [venv / "bin" / "python", "-B", __file__, "sign-as", method, algorithm, key, model]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)


# ---- inside the environment ----


def print_verdicts(signer, model, *signatures):
    import model_signing

    logging.disable()
    by_key = "PUBLIC KEY" in pathlib.Path(signer).read_text()
    verdicts = []
    for signature in signatures:
        config = model_signing.verifying.Config()
        config.set_hashing_config(model_signing.hashing.Config().set_ignored_paths(paths=[pathlib.Path("model.sig")]))
        if by_key:
            config.use_elliptic_key_verifier(public_key=signer)
        else:
            config.use_certificate_verifier(certificate_chain=[signer])
        try:
            config.verify(pathlib.Path(model), pathlib.Path(signature))
            verdicts.append(True)
        except Exception:  # whatever it is, it is no acceptance
            verdicts.append(False)
    sys.stdout = sys.__stdout__
    print(json.dumps(verdicts))


def write_past_chain(target):
    """With the times in the past, which the openssl program of Debian 12 cannot set."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("root", "signer")}
    names = {name: x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in keys}
    nothing = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign", "encipher_only",
         "decipher_only"), False)
    for name, year in {"root": 2019, "signer": 2020}.items():
        is_root = name == "root"
        usage = x509.KeyUsage(digital_signature=not is_root, key_cert_sign=is_root, **nothing)
        certificate = (
            x509.CertificateBuilder().subject_name(names[name]).issuer_name(names["root"])
            .public_key(keys[name].public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(datetime.datetime(year, 1, 1)).not_valid_after(datetime.datetime(2021, 1, 1))
            .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
            .add_extension(usage, critical=True).sign(keys["root"], hashes.SHA256())
        )
        encoding, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        private = keys[name].private_bytes(encoding, pkcs8, serialization.NoEncryption())
        pathlib.Path(target, f"{name}.key").write_bytes(private)
        pathlib.Path(target, f"{name}.crt").write_bytes(certificate.public_bytes(encoding))


def write_signature(method, algorithm, key, model):
    import model_signing

    config = model_signing.hashing.Config().set_ignored_paths(paths=["model.sig"])
    if method == "shards":
        config.use_shard_serialization(hashing_algorithm=algorithm, shard_size=1000)
    else:
        config.use_file_serialization(hashing_algorithm=algorithm)
    signer = model_signing.signing.Config().use_elliptic_key_signer(private_key=key).set_hashing_config(config)
    signer.sign(model, pathlib.Path(model) / "model.sig")


def write_fixtures(target):
    venv = pathlib.Path(sys.prefix)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        model = folder / "model"
        (model / "sub").mkdir(parents=True)
        (model / "config.json").write_text("{}\n")
        (model / "sub" / "weights.bin").write_text("weights\n")
        (model / "README.md").write_text("not signed\n")

        for name, curve in CURVES.items():
            make_key(folder, name, curve)
            sign(venv, model, "key", "--private_key", folder / f"{name}.key", "--ignore-paths", model / "README.md")
            (target / f"{name}.sig").write_bytes((model / "model.sig").read_bytes())
            (target / f"{name}.pem").write_bytes((folder / f"{name}.pem").read_bytes())

        make_chain(folder)
        sign(venv, model, *with_certificate(folder, chain=("between", "root")), "--ignore-paths", model / "README.md")
        (target / "chain.sig").write_bytes((model / "model.sig").read_bytes())
        (target / "root.pem").write_bytes((folder / "root.crt").read_bytes())


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    if command == "fixtures":
        write_fixtures(pathlib.Path(arguments[0]).resolve())
    elif command == "judge":
        sys.stdout = sys.stderr  # where model-signing may print its warnings
        print_verdicts(*arguments)
    elif command == "past-chain":
        write_past_chain(*arguments)
    else:
        write_signature(*arguments)
