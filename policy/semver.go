package policy

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A version is MAJOR.MINOR.PATCH[-PRERELEASE] (Semantic Versioning 2.0.0).
// Build metadata is not accepted.
type version struct {
	parts [3]uint64
	pre   []string
}

// parseVersion reads one to three decimal parts, padded with zeros; a
// pre-release needs all three.
func parseVersion(s string) (version, error) {
	var v version
	core, pre, hasPre := strings.Cut(s, "-")
	parts := strings.Split(core, ".")
	if len(parts) > 3 || hasPre && len(parts) != 3 {
		return version{}, fmt.Errorf("%.64q is not a version of one to three parts", s)
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 63)
		if err != nil || !decimal.MatchString(p) {
			return version{}, fmt.Errorf("%.64q is not a version: part %.32q, want a number without leading zeros", s, p)
		}
		v.parts[i] = n
	}
	if !hasPre {
		return v, nil
	}
	for id := range strings.SplitSeq(pre, ".") {
		numeric := strings.Trim(id, "0123456789") == ""
		if id == "" || strings.Trim(id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "" || numeric && !decimal.MatchString(id) {
			return version{}, fmt.Errorf("%.64q is not a version: pre-release %.32q", s, id)
		}
		v.pre = append(v.pre, id)
	}
	return v, nil
}

func (v version) compare(o version) int {
	for i := range v.parts {
		if c := cmp.Compare(v.parts[i], o.parts[i]); c != 0 {
			return c
		}
	}
	switch {
	case len(v.pre) == 0 && len(o.pre) == 0:
		return 0
	case len(v.pre) == 0:
		return 1
	case len(o.pre) == 0:
		return -1
	}
	for i := range min(len(v.pre), len(o.pre)) {
		if c := comparePre(v.pre[i], o.pre[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(v.pre), len(o.pre))
}

// comparePre orders two identifiers: numeric ones by value and before the others.
func comparePre(a, b string) int {
	an, bn := decimal.MatchString(a), decimal.MatchString(b)
	switch {
	case an && bn:
		if c := cmp.Compare(len(a), len(b)); c != 0 {
			return c
		}
		return strings.Compare(a, b)
	case an:
		return -1
	case bn:
		return 1
	}
	return strings.Compare(a, b)
}

// A tagRange is a list of comparators that must all hold.
type tagRange struct {
	source string
	prefix string // literal, before the version in the tag
	terms  []comparator
}

type comparator struct {
	op string
	version
}

// parseRange reads comparators = > >= < <= with full versions, joined by spaces.
func parseRange(s string) (tagRange, error) {
	r := tagRange{source: s}
	if strings.ContainsAny(s, "^~|,*") {
		return r, errors.New("want comparators = > >= < <= joined by spaces, such as \">=2.0.0 <3.0.0\"")
	}
	for field := range strings.FieldsSeq(s) {
		op := strings.TrimRight(field[:min(2, len(field))], "0123456789v")
		switch op {
		case "=", ">", ">=", "<", "<=":
		default:
			return r, fmt.Errorf("%.64q, want a comparator = > >= < <= before each version, without a space between", field)
		}
		v, err := parseVersion(field[len(op):])
		if err != nil {
			return r, err
		}
		core, _, _ := strings.Cut(field[len(op):], "-")
		if strings.Count(core, ".") != 2 {
			return r, fmt.Errorf("%.64q, want all three parts such as 2.0.0", field[len(op):])
		}
		r.terms = append(r.terms, comparator{op, v})
	}
	if len(r.terms) == 0 {
		return r, errors.New("empty range")
	}
	return r, nil
}

// match reports whether a git ref is a tag in the range, or says why it is not.
func (r tagRange) match(ref string) error {
	if len(r.terms) == 0 {
		return errors.New("no range to be in")
	}
	tag, ok := strings.CutPrefix(ref, "refs/tags/")
	if !ok {
		return fmt.Errorf("%.128q is not a tag", ref)
	}
	name, ok := strings.CutPrefix(tag, r.prefix)
	if !ok {
		return fmt.Errorf("tag %.128q does not begin with %q", tag, r.prefix)
	}
	v, err := parseVersion(strings.TrimPrefix(name, "v"))
	if err != nil {
		return err
	}
	admitted := len(v.pre) == 0
	for _, t := range r.terms {
		c := v.compare(t.version)
		var holds bool
		switch t.op {
		case "=":
			holds = c == 0
		case ">":
			holds = c > 0
		case ">=":
			holds = c >= 0
		case "<":
			holds = c < 0
		case "<=":
			holds = c <= 0
		}
		if !holds {
			return fmt.Errorf("version %s, not %s%d.%d.%d", name, t.op, t.parts[0], t.parts[1], t.parts[2])
		}
		// A pre-release counts only where the range speaks of that release's own.
		admitted = admitted || len(t.pre) > 0 && t.parts == v.parts
	}
	if !admitted {
		return fmt.Errorf("version %s is a pre-release, and the range names none of it", name)
	}
	return nil
}
