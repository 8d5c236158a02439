package policy

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hallmark-dev/hallmark/internal/strictjson"
	"github.com/hallmark-dev/hallmark/verify/evidence"
)

// parameters is a closed map from addresses to wanted values: every leaf of the
// external parameters needs an address, and every address a leaf.
type parameters struct {
	everything bool // "any", as the whole
	wants      []parameterWant
}

type parameterWant struct {
	path   []string // of names
	source string   // the address as it is written
	value  valueWant
}

// A valueWant is what one value has to be. The zero value accepts nothing.
type valueWant struct {
	any     bool
	text    *pattern    // a string
	literal string      // a number or boolean, as JSON writes it
	list    []valueWant // an array, by position
	isList  bool
}

// maxLeaves limits the leaves of external parameters; more fail the candidate.
const maxLeaves = 10_000

// maxParameterDepth limits how deep objects nest in external parameters, each
// level of which is read once more; deeper ones fail the candidate.
const maxParameterDepth = 12

func (l *loader) parameters(n *node, at string) *parameters {
	p := &parameters{}
	if n.kind == scalarNode {
		if n.text == "any" {
			p.everything = true
		} else {
			l.errorf(n, at, "%.64q, want any, or a map of addresses", n.text)
		}
		return p
	}
	if n.kind != mapNode {
		l.errorf(n, at, "%s, want any, or a map of addresses", n.kind)
		return p
	}
	for _, m := range n.members {
		path, err := addressPath(m.key.text)
		if err != nil {
			l.errorf(m.key, at, "%v", err)
			continue
		}
		for _, other := range p.wants {
			k := min(len(path), len(other.path))
			if slices.Equal(path[:k], other.path[:k]) {
				l.errorf(m.key, at, "%.128q and %.128q are one place, or one lies in the other", m.key.text, other.source)
			}
		}
		p.wants = append(p.wants, parameterWant{path, m.key.text, l.valueWant(m.value, at+"."+m.key.text, 0)})
	}
	return p
}

// addressPath splits an address: names joined by dots, or a JSON Pointer (RFC
// 6901) where a name holds a dot or begins with a slash.
func addressPath(s string) ([]string, error) {
	if s == "" {
		return nil, fmt.Errorf("empty address")
	}
	if why := unsafeText(s); why != "" {
		return nil, fmt.Errorf("address %.128q: %s", s, why)
	}
	var path []string
	if pointer, ok := strings.CutPrefix(s, "/"); ok {
		for part := range strings.SplitSeq(pointer, "/") {
			if strings.Contains(strings.NewReplacer("~0", "", "~1", "").Replace(part), "~") {
				return nil, fmt.Errorf("address %.128q: ~ is written ~0, and / within a name ~1", s)
			}
			path = append(path, strings.NewReplacer("~1", "/", "~0", "~").Replace(part))
		}
		return path, nil
	}
	path = strings.Split(s, ".")
	if slices.Contains(path, "") {
		return nil, fmt.Errorf("address %.128q: an empty name between dots; a name with a dot is written as a JSON Pointer such as /inputs/a.b", s)
	}
	return path, nil
}

func (l *loader) valueWant(n *node, at string, depth int) valueWant {
	switch {
	case n.kind == listNode && depth > 8:
		l.errorf(n, at, "lists nested deeper than 8 levels")
		return valueWant{}
	case n.kind == listNode:
		w := valueWant{isList: true}
		for i, item := range n.items {
			w.list = append(w.list, l.valueWant(item, fmt.Sprintf("%s[%d]", at, i), depth+1))
		}
		return w
	case n.kind == scalarNode && n.text == "any":
		return valueWant{any: true}
	case n.kind == scalarNode && n.plain && (n.text == "true" || n.text == "false" || jsonNumber.MatchString(n.text)):
		return valueWant{literal: n.text}
	case n.kind == scalarNode && !n.plain && n.text == "":
		p := exactPattern("")
		return valueWant{text: &p} // the empty string, written in quotes
	}
	p, ok := l.pattern(n, at, nil)
	if !ok {
		return valueWant{}
	}
	return valueWant{text: &p}
}

var jsonNumber = regexp.MustCompile(`\A-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?\z`)

func (p *parameters) explain() field {
	if p.everything {
		return field{name: "parameters", value: "any"}
	}
	f := field{name: "parameters"}
	for _, w := range p.wants {
		f.nested = append(f.nested, field{name: w.source, value: w.value.yaml()})
	}
	if len(f.nested) == 0 {
		f.value = "{}"
	}
	return f
}

// yaml writes the wanted value as a policy would; a text is always quoted, as
// in the parameters that it is compared with.
func (w valueWant) yaml() string {
	switch {
	case w.any:
		return "any"
	case w.isList:
		parts := make([]string, len(w.list))
		for i, v := range w.list {
			parts[i] = v.yaml()
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case w.text != nil && w.text.String() == w.text.source:
		return strconv.Quote(w.text.source)
	case w.text != nil:
		return w.text.String()
	}
	return w.literal
}

// A leaf is a place in the external parameters that needs an address: a scalar,
// an array, or an object without members. null is absent.
type leaf struct {
	path []string
	raw  []byte
}

func leaves(raw []byte, path []string, out []leaf) ([]leaf, error) {
	switch {
	case len(out) > maxLeaves:
		return nil, fmt.Errorf("more than %d parameters", maxLeaves)
	case len(path) > maxParameterDepth:
		return nil, fmt.Errorf("parameters nested deeper than %d levels", maxParameterDepth)
	}
	switch strictjson.KindOf(raw) {
	case strictjson.Null, strictjson.Invalid:
		return out, nil
	case strictjson.Map:
		members, err := strictjson.Object(raw)
		if err != nil {
			return nil, err
		}
		if len(members) == 0 && len(path) > 0 {
			return append(out, leaf{slices.Clone(path), raw}), nil
		}
		for _, m := range members {
			if out, err = leaves(m.Value, append(path, m.Name), out); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return append(out, leaf{slices.Clone(path), raw}), nil
}

// address writes a path as a policy would: with dots, or as a JSON Pointer where
// a name holds a dot, begins with a slash or is empty.
func address(path []string) string {
	plain := len(path) > 0 && !strings.HasPrefix(path[0], "/")
	for _, p := range path {
		plain = plain && p != "" && !strings.Contains(p, ".")
	}
	if plain {
		return strings.Join(path, ".")
	}
	var b strings.Builder
	for _, p := range path {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(p))
	}
	return b.String()
}

// check compares leaf by leaf. raw is nil when there are no parameters.
func (p *parameters) check(c *checklist, raw []byte) {
	if p.everything {
		return
	}
	all, err := leaves(raw, nil, nil)
	if err != nil {
		c.fail("parameters", "external parameters that can be read", err.Error())
		return
	}
	met := make([]bool, len(p.wants))
	for _, leaf := range all {
		i := slices.IndexFunc(p.wants, func(w parameterWant) bool {
			return slices.Equal(w.path, leaf.path) || w.value.any && len(leaf.path) > len(w.path) && slices.Equal(w.path, leaf.path[:len(w.path)])
		})
		name := "parameters." + address(leaf.path)
		if i < 0 {
			c.fail(name, "absent, as the policy names no such parameter", string(leaf.raw))
			continue
		}
		met[i] = true
		w := p.wants[i].value
		c.is(w.match(leaf.raw), name, w.yaml(), string(leaf.raw))
	}
	for i, w := range p.wants {
		if !met[i] {
			c.fail("parameters."+address(w.path), w.value.yaml(), "nothing")
		}
	}
}

// match compares one JSON value by its type: "17" is not 17.
func (w valueWant) match(raw []byte) bool {
	kind := strictjson.KindOf(raw)
	switch {
	case w.any:
		return true
	case w.text != nil:
		s, err := strictjson.String(raw)
		return kind == strictjson.Text && err == nil && (w.text.match(s) || s == "" && w.text.source == "" && w.text.re == nil)
	case w.isList:
		items, err := strictjson.Array(raw)
		if kind != strictjson.List || err != nil || len(items) != len(w.list) {
			return false
		}
		for i := range items {
			if !w.list[i].match(items[i]) {
				return false
			}
		}
		return true
	case w.literal == "true" || w.literal == "false":
		return string(raw) == w.literal
	case w.literal != "":
		return kind == strictjson.Number && sameNumber(w.literal, string(raw))
	}
	return false
}

// sameNumber compares without rounding: the same digits at the same place. An
// integer and a fraction are two types, so 1 is not 1.0.
func sameNumber(a, b string) bool {
	if strings.ContainsAny(a, ".eE") != strings.ContainsAny(b, ".eE") {
		return false
	}
	da, ea, ok := digits(a)
	db, eb, ok2 := digits(b)
	return ok && ok2 && da == db && ea == eb
}

// digits writes a JSON number as an integer without trailing zeros, times a
// power of ten.
func digits(s string) (mantissa string, exponent int64, ok bool) {
	s, exp, hasExp := strings.Cut(strings.ToLower(s), "e")
	if hasExp {
		var err error
		if exponent, err = strconv.ParseInt(strings.TrimPrefix(exp, "+"), 10, 32); err != nil {
			return "", 0, false
		}
	}
	sign := ""
	if rest, negative := strings.CutPrefix(s, "-"); negative {
		sign, s = "-", rest
	}
	whole, fraction, _ := strings.Cut(s, ".")
	exponent -= int64(len(fraction))
	mantissa = strings.TrimLeft(whole+fraction, "0")
	if mantissa == "" {
		return "0", 0, true
	}
	trimmed := strings.TrimRight(mantissa, "0")
	return sign + trimmed, exponent + int64(len(mantissa)-len(trimmed)), true
}

// parameters returns what addresses point into: the external parameters without
// those members that are the source itself.
func (c *claims) parameters(t *buildType) []byte {
	if c.v1 == nil || t == nil || len(t.outside) == 0 {
		return c.external
	}
	members, err := strictjson.Object(c.external)
	if err != nil {
		return c.external // reported when its leaves are read
	}
	kept := make(map[string]json.RawMessage)
	for _, m := range members {
		if !slices.Contains(t.outside, m.Name) {
			kept[m.Name] = m.Value
		}
	}
	raw, err := strictjson.Marshal(kept)
	if err != nil {
		return c.external
	}
	return raw
}

// checkBound is what holds when a policy leaves parameters out: those bound to
// the source equal the certificate, and there are no others but {} and null.
func (c *claims) checkBound(list *checklist, t *buildType, cert *evidence.Certificate) {
	all, err := leaves(c.parameters(t), nil, nil)
	if err != nil {
		list.fail("parameters", "external parameters that can be read", err.Error())
		return
	}
	bound := make(map[string]string)
	if c.v1 != nil {
		bound["workflow.repository"] = cert.SourceRepositoryURI
		bound["workflow.ref"] = cert.SourceRef
		bound["workflow.path"] = certificateEntry(cert)
		if !cert.HasModern() {
			repo, ref, _ := certificateSource(cert)
			bound["workflow.repository"], bound["workflow.ref"] = "https://"+repo, ref
		}
	}
	for _, leaf := range all {
		name := address(leaf.path)
		want, isBound := bound[name]
		switch {
		case isBound:
			got, err := strictjson.String(leaf.raw)
			if err != nil {
				got = string(leaf.raw)
			}
			list.equal("parameters."+name+" as the certificate has it", want, got)
		case strictjson.KindOf(leaf.raw) == strictjson.Map: // empty
		default:
			list.fail("parameters."+name, "absent, as the policy names no parameters", string(leaf.raw))
		}
	}
}
