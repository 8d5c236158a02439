package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Explain writes the policy as it is understood: every default written out, in
// YAML, with remarks as comments. It is for people; for the file itself keep the
// file.
func (p *Policy) Explain() string {
	var b strings.Builder
	line := func(indent int, format string, args ...any) {
		b.WriteString(strings.Repeat("  ", indent))
		fmt.Fprintf(&b, format, args...)
		b.WriteByte('\n')
	}
	line(0, "# digest %s, build type catalogue %s", p.digest, CatalogueVersion)
	line(0, "policy: v1")
	if p.name != "" {
		line(0, "name: %s", quote(p.name))
	}
	if p.version > 0 {
		line(0, "version: %d", p.version)
	}
	if p.expires.IsZero() {
		line(0, "# expires: never")
	} else {
		line(0, "expires: %s", showTime(p.expires))
	}
	if p.artifacts == nil {
		line(0, "# artifacts: whatever the caller decides about by this policy")
	} else {
		line(0, "artifacts:")
		line(1, "files:")
		for _, a := range p.artifacts {
			line(2, "- %s", quote(a.String()))
		}
	}
	line(0, "trust:")
	for _, t := range p.trusts() {
		line(1, "%s:", t.name)
		switch {
		case !t.pin.IsZero():
			line(2, "root: {file: %s, sha256: %s}", quote(t.file), t.pin.Hex())
		case t.key():
			line(2, "# no root: keys alone")
		case t.name == "default":
			line(2, "root: %s # any one of them, each by itself", strings.Join(t.roots, " | "))
		default:
			line(2, "root: %s", t.roots[0])
		}
		for _, d := range []struct {
			name string
			demand
		}{{"log", t.log}, {"timestamps", t.timestamps}, {"sct", t.sct}} {
			if d.count == 0 && !d.waived {
				line(2, "# %s: %s", d.name, d)
			} else {
				line(2, "%s: %s", d.name, d)
			}
		}
	}
	line(0, "signers:")
	for _, name := range p.signerOrder {
		s := p.signers[name]
		line(1, "%s:", quote(name))
		line(2, "trust: %s", s.trust.name)
		line(2, "%s:", s.form)
		writeFields(&b, 3, s.fields)
		if !s.from.IsZero() {
			line(2, "from: %s", showTime(s.from))
		}
		if !s.until.IsZero() {
			line(2, "until: %s", showTime(s.until))
		}
	}
	line(0, "require:")
	for _, r := range p.rules {
		line(1, "- id: %s", r.id)
		line(2, "%s: # any one candidate that satisfies all of this", r.kind)
		writeFields(&b, 3, r.fields)
	}
	if relaxed := p.relaxations(); len(relaxed) > 0 {
		line(0, "# relaxations, which every decision lists:")
		for _, r := range relaxed {
			line(0, "#   %s", r)
		}
	}
	return b.String()
}

// trusts returns those that a signer uses, and those that the policy names.
func (p *Policy) trusts() []*trust {
	var out []*trust
	add := func(t *trust) {
		if !slices.ContainsFunc(out, func(o *trust) bool { return o.name == t.name && slices.Equal(o.roots, t.roots) }) {
			out = append(out, t)
		}
	}
	for _, name := range p.signerOrder {
		add(p.signers[name].trust)
	}
	for _, t := range p.trust {
		add(t)
	}
	slices.SortFunc(out, func(a, b *trust) int {
		return strings.Compare(a.name+fmt.Sprint(a.roots), b.name+fmt.Sprint(b.roots))
	})
	return out
}

func writeFields(b *strings.Builder, indent int, fields []field) {
	pad := strings.Repeat("  ", indent)
	for _, f := range fields {
		switch {
		case len(f.nested) > 0:
			fmt.Fprintf(b, "%s%s:\n", pad, f.name)
			writeFields(b, indent+1, f.nested)
		case strings.HasPrefix(f.value, "#"):
			fmt.Fprintf(b, "%s# %s: %s\n", pad, f.name, strings.TrimPrefix(f.value, "# "))
		case strings.HasPrefix(f.value, "|\n"):
			fmt.Fprintf(b, "%s%s: |\n", pad, f.name)
			for _, l := range strings.Split(f.value[2:], "\n") {
				fmt.Fprintf(b, "%s  %s\n", pad, l)
			}
		default:
			fmt.Fprintf(b, "%s%s: %s\n", pad, quoteName(f.name), quote(f.value))
		}
	}
}

// quote writes a scalar, in quotes where YAML would give it another meaning.
func quote(s string) string {
	plain := s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@+=~<> ,") == "" &&
		!strings.ContainsAny(s[:1], "-:@=~<>, ") && !strings.Contains(s, ": ") && !strings.HasSuffix(s, ":") && !strings.HasSuffix(s, " ") &&
		!yamlWord.MatchString(s) && !yamlNumber.MatchString(s) && !yamlDate.MatchString(s)
	if plain || strings.HasPrefix(s, "[") || s == "any" || s == "{}" {
		return s
	}
	return strconv.Quote(s)
}

func quoteName(s string) string {
	if strings.ContainsAny(s, "/ :") {
		return strconv.Quote(s)
	}
	return s
}
