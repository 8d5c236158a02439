package cli

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/hallmark-dev/hallmark/attest"
	"github.com/hallmark-dev/hallmark/attest/bundle"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

func (a *app) inspectCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "inspect BUNDLE",
		Short:   "Show what a bundle says of itself, unverified",
		Long:    `Show what a bundle says of itself. Nothing of it is verified: anybody can write it.`,
		Example: `  hallmark inspect app.tar.gz.sigstore.json`,
		Args:    cobra.ExactArgs(1),
	}
	asJSON := outputFlag(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		jsonOut, err := asJSON()
		if err != nil {
			return err
		}
		return a.inspect(args[0], jsonOut)
	}
	return c
}

// An inspection is what a bundle says, for JSON. Its one top field marks it.
type inspection struct {
	Unverified inspected `json:"unverified"`
}

type inspected struct {
	Bundle        string            `json:"bundle"`
	Version       string            `json:"version"`
	PayloadType   string            `json:"payloadType,omitempty"`
	MessageDigest string            `json:"messageDigest,omitempty"`
	Statement     json.RawMessage   `json:"statement,omitempty"`
	Issuer        string            `json:"issuer,omitempty"`
	Subject       []string          `json:"subject,omitempty"`
	NotBefore     string            `json:"notBefore,omitempty"`
	NotAfter      string            `json:"notAfter,omitempty"`
	Claims        map[string]string `json:"claims,omitempty"`
	KeyHint       string            `json:"keyHint,omitempty"`
	Logs          []inspectedLog    `json:"logs,omitempty"`
	Timestamps    int               `json:"timestamps"`
}

type inspectedLog struct {
	LogID string `json:"logID"`
	Index int64  `json:"index"`
	Kind  string `json:"kind"`
	Time  string `json:"integratedTime,omitempty"`
}

func (a *app) inspect(name string, jsonOut bool) error {
	data, err := a.readFile("bundle", name, bundle.MaxBytes)
	if err != nil {
		return err
	}
	b, err := bundle.Parse(data)
	if err != nil {
		return fmt.Errorf("bundle %s: %w", name, err)
	}
	says, err := b.Unverified()
	if err != nil {
		return fmt.Errorf("bundle %s: %w", name, err)
	}
	out := inspected{Bundle: b.Digest(), Version: b.Version(), PayloadType: says.PayloadType, MessageDigest: says.MessageDigest,
		KeyHint: says.KeyHint, Timestamps: says.Timestamps}
	st, err := attest.Parse(says.Payload)
	if err == nil {
		out.Statement = st.Bytes()
	}
	if says.Certificate != nil {
		cert, err := evidence.ReadUnverifiedCertificate(says.Certificate)
		if err != nil {
			return fmt.Errorf("bundle %s: certificate: %w", name, err)
		}
		out.NotBefore, out.NotAfter = rfc3339(cert.NotBefore), rfc3339(cert.NotAfter)
		out.Issuer = cert.Issuer
		if out.Issuer == "" {
			out.Issuer = cert.Legacy.Issuer
		}
		for _, san := range cert.SANs {
			out.Subject = append(out.Subject, san.Value)
		}
		out.Claims = claims(cert)
	}
	for _, l := range says.LogEntries {
		log := inspectedLog{LogID: l.LogID, Index: l.Index, Kind: l.Kind + " " + l.Version}
		if l.IntegratedTime != 0 {
			log.Time = rfc3339(time.Unix(l.IntegratedTime, 0))
		}
		out.Logs = append(out.Logs, log)
	}
	if jsonOut {
		return writeJSON(a.stdout, inspection{out})
	}
	a.showInspected(&out, st)
	return nil
}

func (a *app) showInspected(in *inspected, st *attest.Statement) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(a.stdout, "%-18s %s\n", name, printable(value))
		}
	}
	fmt.Fprintln(a.stdout, "UNVERIFIED: anybody can write what follows; \"hallmark verify\" decides.")
	line("bundle", in.Bundle)
	line("version", in.Version)
	line("payload type", in.PayloadType)
	line("message digest", in.MessageDigest)
	if st != nil {
		line("predicate type", st.PredicateType())
		for _, s := range st.Subjects() {
			for _, alg := range s.Digest.Names() {
				line("about", fmt.Sprintf("%s %s:%s", s.Name, alg, s.Digest[alg]))
			}
		}
	}
	line("issuer", in.Issuer)
	for _, s := range in.Subject {
		line("subject", s)
	}
	line("not before", in.NotBefore)
	line("not after", in.NotAfter)
	for _, f := range claimNames {
		line(f.name, in.Claims[f.name])
	}
	line("key hint", in.KeyHint)
	for _, l := range in.Logs {
		line("log", fmt.Sprintf("%s index %d %s %s", l.LogID, l.Index, l.Kind, l.Time))
	}
	fmt.Fprintf(a.stdout, "%-18s %d\n", "timestamps", in.Timestamps)
}

// claimNames are the certificate extensions that are shown, by the names that
// policies use where they have one.
var claimNames = []struct {
	name string
	get  func(*evidence.Certificate) string
}{
	{"repo", func(c *evidence.Certificate) string { return c.SourceRepositoryURI }},
	{"ref", func(c *evidence.Certificate) string { return c.SourceRef }},
	{"commit", func(c *evidence.Certificate) string { return c.SourceDigest }},
	{"workflow", func(c *evidence.Certificate) string { return c.BuildSignerURI }},
	{"build config", func(c *evidence.Certificate) string { return c.BuildConfigURI }},
	{"runner", func(c *evidence.Certificate) string { return c.RunnerEnvironment }},
	{"event", func(c *evidence.Certificate) string { return c.BuildTrigger }},
	{"run", func(c *evidence.Certificate) string { return c.RunInvocationURI }},
	{"visibility", func(c *evidence.Certificate) string { return c.SourceVisibility }},
	{"environment", func(c *evidence.Certificate) string { return c.DeploymentEnv }},
	{"token subject", func(c *evidence.Certificate) string { return c.TokenSubject }},
}

func claims(c *evidence.Certificate) map[string]string {
	out := make(map[string]string)
	for _, f := range claimNames {
		if v := f.get(c); v != "" {
			out[f.name] = v
		}
	}
	return out
}

func rfc3339(t time.Time) string { return t.UTC().Format(time.RFC3339) }
