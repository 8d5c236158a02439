package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/attest/key"
	"github.com/hallmark-dev/hallmark/attest/predicate"
	"github.com/hallmark-dev/hallmark/attest/sign"
	"github.com/hallmark-dev/hallmark/attest/subject"
	"github.com/hallmark-dev/hallmark/internal/atomicfile"
)

const (
	tokenVariable     = "SIGSTORE_ID_TOKEN"
	signingConfigFile = "signing_config.v0.2.json"
	maxTokenBytes     = 64 << 10
	maxSigningConfig  = 1 << 20
)

type attestFlags struct {
	trust         trustFlags
	predicateType string
	predicate     string
	checksums     []string
	algorithms    []string
	key           string
	passphrase    string
	keyless       bool
	token         string
	signingConfig string
	out           string
	overwrite     bool
	dryRun        bool
}

func (a *app) attestCommand() *cobra.Command {
	var f attestFlags
	c := &cobra.Command{
		Use:   "attest ARTIFACT...",
		Short: "Make a signed statement about artifacts",
		Long: `Make a signed statement about artifacts, as a Sigstore bundle. An ARTIFACT is a
file, a digest (sha256:HEX, sha384:HEX, sha512:HEX), or - for standard input;
--checksums adds all that a checksum file names.

--keyless signs with an identity token (--identity-token or SIGSTORE_ID_TOKEN) and
a certificate. --key signs with a key file; its passphrase is the first line of
--passphrase-file or the value of COSIGN_PASSWORD. A key without --signing-config
writes to no log.

The bundle is verified before it is written.`,
		Example: `  hallmark attest --type provenance --predicate provenance.json --key release.key app.tar.gz`,
	}
	fl := c.Flags()
	fl.StringVar(&f.predicateType, "type", "", "`type` of the predicate: provenance (SLSA v1) or a URI")
	fl.StringVar(&f.predicate, "predicate", "", "`file` with the predicate, one JSON object")
	fl.StringArrayVar(&f.checksums, "checksums", nil, "checksum `file` whose entries become subjects; may be repeated")
	fl.StringSliceVar(&f.algorithms, "digest", []string{attest.SHA256}, "digest `algorithms` to name files by: sha256, sha384, sha512")
	fl.StringVar(&f.key, "key", "", "private key `file`")
	fl.StringVar(&f.passphrase, "passphrase-file", "", "`file` whose first line is the key's passphrase")
	fl.BoolVar(&f.keyless, "keyless", false, "sign with an identity token")
	fl.StringVar(&f.token, "identity-token", "", "`file` with the identity token")
	fl.StringVar(&f.signingConfig, "signing-config", "", "signing config v0.2 `file`: the services to use (default with --keyless: from TUF)")
	fl.StringVar(&f.out, "out", "", "`file` for the bundle, - for stdout (default: ARTIFACT.sigstore.json)")
	fl.BoolVar(&f.overwrite, "overwrite", false, "replace a file that is there already")
	fl.BoolVar(&f.dryRun, "dry-run", false, "print the statement and sign nothing")
	f.trust.add(c)
	c.RunE = func(c *cobra.Command, args []string) error { return a.attest(c.Context(), &f, args) }
	return c
}

func (a *app) attest(ctx context.Context, f *attestFlags, args []string) error {
	if !f.dryRun && f.keyless == (f.key != "") {
		return errors.New("say how to sign: --keyless or --key FILE")
	}
	out, err := f.output(args)
	if err != nil {
		return err
	}
	var file *atomicfile.File
	if out != "" && out != "-" {
		// That it can go there is known before anything is signed: a log forgets
		// nothing.
		inputs := append([]string{f.predicate, f.key, f.passphrase, f.token, f.signingConfig, f.trust.root}, args...)
		inputs = append(inputs, f.checksums...)
		for _, name := range f.trust.files {
			if _, file, named := strings.Cut(name, "="); named {
				name = file
			}
			inputs = append(inputs, name)
		}
		if file, err = begin(out, 0o644, f.overwrite, inputs...); err != nil {
			return err
		}
		defer file.Abort()
	}
	p, err := a.readPredicate(f)
	if err != nil {
		return err
	}
	st, err := a.statement(ctx, f, args, p)
	if err != nil {
		return err
	}
	if f.dryRun {
		_, err := fmt.Fprintf(a.stdout, "%s\n", st.Bytes())
		return err
	}
	cfg, err := a.signConfig(ctx, f)
	if err != nil {
		return err
	}
	signer, err := sign.New(cfg)
	if err != nil {
		return err
	}
	b, err := signer.Sign(ctx, st)
	if err != nil {
		return err
	}
	if file == nil {
		_, err := a.stdout.Write(b.Bytes())
		return err
	}
	if err := commit(file, out, b.Bytes()); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s %s\n", out, b.Digest())
	return nil
}

// output is where the bundle goes; empty for a dry run, "-" for stdout.
func (f *attestFlags) output(args []string) (string, error) {
	if f.dryRun {
		return "", nil
	}
	out := f.out
	if out == "" {
		if len(args) != 1 || len(f.checksums) > 0 || args[0] == "-" || isDigest(args[0]) {
			return "", errors.New("say where the bundle goes: --out FILE, or --out - for stdout")
		}
		out = args[0] + ".sigstore.json"
	}
	return out, nil
}

func (a *app) readPredicate(f *attestFlags) (attest.Predicate, error) {
	switch {
	case f.predicateType == "":
		return nil, errors.New("say what is attested: --type provenance, or --type URI")
	case f.predicate == "":
		return nil, errors.New("--predicate FILE is missing: what the statement says")
	}
	data, err := a.readFile("predicate", f.predicate, attest.MaxStatementBytes)
	if err != nil {
		return nil, err
	}
	switch {
	case f.predicateType == "provenance" || f.predicateType == predicate.ProvenanceV1:
		p, err := predicate.ParseProvenance(predicate.ProvenanceV1, data)
		if err != nil {
			return nil, fmt.Errorf("predicate %s: %w", f.predicate, err)
		}
		// Checked as strictly as one that was made here; its own bytes are kept.
		if _, err := p.EncodePredicate(); err != nil {
			return nil, fmt.Errorf("predicate %s: %w", f.predicate, err)
		}
		return attest.Raw{Type: predicate.ProvenanceV1, JSON: data}, nil
	case !strings.Contains(f.predicateType, ":"):
		return nil, fmt.Errorf("--type %q is not yet supported: want provenance, or the predicate's type URI", f.predicateType)
	}
	return attest.Raw{Type: f.predicateType, JSON: data}, nil
}

func (a *app) statement(ctx context.Context, f *attestFlags, args []string, p attest.Predicate) (*attest.Statement, error) {
	var seqs []subject.Seq
	for _, arg := range args {
		seqs = append(seqs, a.subjects(ctx, arg, f.algorithms))
	}
	for _, name := range f.checksums {
		data, err := a.readFile("checksums", name, subject.MaxChecksumBytes)
		if err != nil {
			return nil, err
		}
		seqs = append(seqs, subject.Checksums(strings.NewReader(string(data))))
	}
	subjects, err := subject.Collect(subject.Join(seqs...))
	a.endProgress()
	if err != nil {
		return nil, err
	}
	return attest.New(subjects, p)
}

func (a *app) signConfig(ctx context.Context, f *attestFlags) (sign.Config, error) {
	cfg := sign.Config{Now: time.Now}
	if f.key != "" {
		data, err := a.readFile("key", f.key, key.MaxBytes)
		if err != nil {
			return cfg, err
		}
		passphrase, err := a.passphrase(f.passphrase)
		if err != nil {
			return cfg, err
		}
		k, err := key.Parse(data, passphrase)
		if err != nil {
			return cfg, fmt.Errorf("key %s: %w", f.key, err)
		}
		cfg.Key = k
	} else {
		token, err := a.identityToken(f.token)
		if err != nil {
			return cfg, err
		}
		cfg.Token = func(context.Context) (string, error) { return token, nil }
	}
	var err error
	if f.signingConfig != "" {
		cfg.SigningConfig, err = a.readFile("signing config", f.signingConfig, maxSigningConfig)
	} else if f.keyless {
		cfg.SigningConfig, err = a.fetch(ctx, f, signingConfigFile)
	}
	if err != nil || cfg.SigningConfig == nil {
		return cfg, err
	}
	given, err := a.given(&f.trust)
	if err != nil {
		return cfg, err
	}
	if len(given) > 1 {
		return cfg, errors.New("--trusted-root: want one, that of the services that sign")
	}
	for _, data := range given {
		cfg.TrustedRoot = data
		return cfg, nil
	}
	cfg.TrustedRoot, err = a.fetch(ctx, f, "")
	return cfg, err
}

func (a *app) fetch(ctx context.Context, f *attestFlags, target string) ([]byte, error) {
	from, err := a.tuf(&f.trust, target)
	if err != nil {
		return nil, err
	}
	return from.Fetch(ctx)
}

func (a *app) identityToken(file string) (string, error) {
	token := a.env(tokenVariable)
	if strings.HasPrefix(file, "eyJ") && strings.Count(file, ".") == 2 {
		return "", fmt.Errorf("--identity-token is the name of a file with the token, and not the token itself, which others could see: write a file, or set %s", tokenVariable)
	}
	if file != "" {
		data, err := a.readFile("identity token", file, maxTokenBytes)
		if err != nil {
			return "", err
		}
		token = string(data)
	}
	if token = strings.TrimSpace(token); token == "" {
		return "", fmt.Errorf("no identity token: set %s or give --identity-token", tokenVariable)
	}
	return token, nil
}
