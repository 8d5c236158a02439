package policy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Explain writes the policy as it is understood: every default written out, in
// YAML, with remarks as comments. It can be loaded, with the same files, and
// then means the same; the digest is another.
func (p *Policy) Explain() string {
	if p == nil {
		return ""
	}
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
		line(0, "expires: %s", p.expires.Format(time.RFC3339Nano))
	}
	if p.artifacts == nil {
		line(0, "# artifacts: whatever the caller decides about by this policy")
	} else {
		line(0, "artifacts:")
		line(1, "files:")
		for _, a := range p.artifacts {
			line(2, "- %s", a.yaml())
		}
	}
	if len(p.trust) > 0 {
		line(0, "trust:")
	}
	for _, name := range slices.Sorted(maps.Keys(p.trust)) {
		t := p.trust[name]
		line(1, "%s:", name)
		switch {
		case !t.pin.IsZero():
			line(2, "root: {file: %s, sha256: %s}", quote(t.file), quote(t.pin.Hex()))
		case t.key():
			line(2, "# no root: keys alone")
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
	names := p.plainNames()
	line(0, "signers:")
	for _, name := range p.signerOrder {
		s := p.signers[name]
		if names[name] == name {
			line(1, "%s:", name)
		} else {
			line(1, "%s: # %s", names[name], name)
		}
		if s.trust.name == defaultTrustName {
			line(2, "# trust: %s, and the log and times that it prescribes", strings.Join(s.trust.roots, " or "))
		} else {
			line(2, "trust: %s", quote(s.trust.name))
		}
		line(2, "%s:", s.form)
		writeFields(&b, 3, s.fields)
		if !s.from.IsZero() {
			line(2, "from: %s", s.from.Format(time.RFC3339Nano))
		}
		if !s.until.IsZero() {
			line(2, "until: %s", s.until.Format(time.RFC3339Nano))
		}
	}
	line(0, "require:")
	for _, r := range p.rules {
		line(1, "- id: %s", quote(r.id))
		line(2, "%s: # any one candidate that satisfies all of this", r.kind)
		line(3, "by: %s", quote(names[r.by]))
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

// plainNames gives signers that from: made a name that a policy could choose.
func (p *Policy) plainNames() map[string]string {
	names := make(map[string]string)
	n := 0
	for _, name := range p.signerOrder {
		plain := name
		for !validName(plain) || plain != name && p.signers[plain] != nil {
			n++
			plain = fmt.Sprintf("from-%d", n)
		}
		names[name] = plain
	}
	return names
}

func writeFields(b *strings.Builder, indent int, fields []field) {
	pad := strings.Repeat("  ", indent)
	for _, f := range fields {
		switch {
		case len(f.nested) > 0:
			fmt.Fprintf(b, "%s%s:\n", pad, f.name)
			writeFields(b, indent+1, f.nested)
		case f.remark:
			fmt.Fprintf(b, "%s# %s: %s\n", pad, f.name, f.value)
		case strings.HasPrefix(f.value, "|\n"):
			fmt.Fprintf(b, "%s%s: |\n", pad, f.name)
			for _, l := range strings.Split(f.value[2:], "\n") {
				fmt.Fprintf(b, "%s  %s\n", pad, l)
			}
		default:
			fmt.Fprintf(b, "%s%s: %s\n", pad, quoteName(f.name), f.value)
		}
	}
}

// quote writes a text as a YAML scalar, in quotes where it would otherwise have
// another meaning, also within [ ].
func quote(s string) string {
	plain := s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@+") == "" &&
		!strings.ContainsAny(s[:1], "-:@.") && !strings.HasSuffix(s, ":") &&
		!yamlWord.MatchString(s) && !yamlNumber.MatchString(s) && !yamlDate.MatchString(s)
	if plain {
		return s
	}
	return strconv.Quote(s)
}

// quoteName is quote for the name of a field, which has no type.
func quoteName(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.") == "" {
		return s
	}
	return strconv.Quote(s)
}

// quoteList writes texts as a YAML list on one line.
func quoteList(items []string) string {
	quoted := make([]string, len(items))
	for i, s := range items {
		quoted[i] = quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
