// Package repo holds the checks of the whole repository, as tests: the import
// rule, what light packages may link, documentation, examples, and that module
// files are tidy.
package repo
