package cli

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"github.com/flott-dev/flott/conf"
)

// option is one option of a command, under all its names.
type option struct {
	long  string
	short string // one letter, or none
	value string // what its value is called; empty for a switch
	// legacy are Flink's other spellings: words after a single dash (yqu) or after two.
	legacy []string
	// settings turns the value into configuration; nil for an option that the command reads itself.
	settings func(value string) ([]conf.Setting, error)
	// joined says that the value may stand directly behind the short or legacy name (-Dk=v, -p4).
	joined func(rest string) bool
	// ignored says why the option has no effect here; it is accepted with this warning.
	ignored string
	// refused says why it cannot be honoured.
	refused string
	hidden  bool // from help
	help    string
}

var helpOption = option{long: "help", short: "h", help: "this text"}

// shown is how help writes the option.
func (o *option) shown() string {
	s := "    "
	if o.short != "" {
		s = "-" + o.short + ", "
	}
	if o.long == o.short {
		s = "-" + o.short
	} else {
		s += "--" + o.long
	}
	if o.value != "" {
		s += " <" + o.value + ">"
	}
	return s
}

// dynamicOption is -D.
func dynamicOption() option {
	return option{
		long: "D", short: "D", value: "key=value", legacy: []string{"yD"}, help: "set a configuration option; may be given several times",
		joined: func(rest string) bool { return rest != "" },
		settings: func(v string) ([]conf.Setting, error) {
			s, err := conf.ParseDynamic(v)
			return []conf.Setting{s}, err
		},
	}
}

// setting is an option that is another spelling of a configuration key.
func setting(key string) func(string) ([]conf.Setting, error) {
	return func(v string) ([]conf.Setting, error) { return []conf.Setting{{Key: key, Value: v}}, nil }
}

// mebibytes is setting for sizes, where Flink's options count a bare number in MiB.
func mebibytes(key string) func(string) ([]conf.Setting, error) {
	return func(v string) ([]conf.Setting, error) {
		if strings.Trim(v, "0123456789") == "" {
			v += "m"
		}
		return []conf.Setting{{Key: key, Value: v}}, nil
	}
}

// parse reads the words behind the verb.
func (c *Command) parse(args []string) (*invocation, error) {
	inv := &invocation{cmd: c}
	options := append(slices.Clone(c.Options), helpOption)
	canonical, err := normalise(args, options, c.JobArgs)
	if err != nil {
		return nil, fmt.Errorf("%w (see `flott help %s`)", err, c.Name)
	}
	inv.flags = pflag.NewFlagSet(c.Name, pflag.ContinueOnError)
	inv.flags.SetInterspersed(!c.JobArgs)
	inv.flags.Usage = func() {}
	for i := range options {
		o := &options[i]
		switch {
		case o.value == "":
			inv.flags.Bool(o.long, false, o.help)
		case o.settings != nil:
			inv.flags.Var(settingValue{o, inv}, o.long, o.help)
		default:
			inv.flags.String(o.long, "", o.help)
		}
	}
	if err := inv.flags.Parse(canonical); err != nil {
		return nil, fmt.Errorf("%w (see `flott help %s`)", err, c.Name)
	}
	inv.args, inv.help = inv.flags.Args(), inv.on("help")
	for i := range options {
		o := &options[i]
		if !inv.flags.Changed(o.long) {
			continue
		}
		if o.refused != "" {
			return nil, fmt.Errorf("%s: %s", strings.TrimSpace(o.shown()), o.refused)
		}
		if o.ignored != "" {
			inv.warnings = append(inv.warnings, strings.TrimSpace(o.shown())+" is ignored: "+o.ignored)
		}
	}
	return inv, nil
}

// settingValue collects settings in the order of the command line; pflag's slices would split them at commas.
type settingValue struct {
	option *option
	inv    *invocation
}

func (v settingValue) String() string { return "" }
func (v settingValue) Type() string   { return v.option.value }
func (v settingValue) Set(s string) error {
	settings, err := v.option.settings(s)
	if err == nil {
		v.inv.settings = append(v.inv.settings, settings...)
	}
	return err
}

// normalise rewrites every option to --name or --name=value: pflag would take -yqu for -y -q -u, and -target x for -t arget x.
func normalise(args []string, options []option, jobArgs bool) ([]string, error) {
	var out []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			return append(out, args[i:]...), nil
		}
		if len(arg) < 2 || arg[0] != '-' {
			if jobArgs {
				return append(append(out, "--"), args[i:]...), nil
			}
			out = append(out, arg)
			continue
		}
		o, value, has, err := lookUp(arg, options)
		if err != nil {
			return nil, err
		}
		word := "--" + o.long
		switch {
		case has:
			word += "=" + value
		case o.value != "" && i+1 == len(args):
			return nil, fmt.Errorf("%s needs a value: %s <%s>", arg, arg, o.value)
		case o.value != "":
			i++
			word += "=" + args[i]
		}
		out = append(out, word)
	}
	return out, nil
}

// lookUp finds the option that a word beginning with - means, and the value in the same word.
func lookUp(arg string, options []option) (o *option, value string, has bool, err error) {
	double := strings.HasPrefix(arg, "--")
	name, value, has := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	for i := range options {
		o := &options[i]
		if o.long == name && o.long != o.short || slices.Contains(o.legacy, name) || !double && o.short == name && name != "" {
			if has && o.value == "" {
				return nil, "", false, fmt.Errorf("%s takes no value", arg[:len(arg)-len(value)-1])
			}
			return o, value, has, nil
		}
	}
	if !double {
		for i := range options {
			if rest, ok := options[i].behind(arg[1:]); ok {
				return &options[i], rest, true, nil
			}
		}
	}
	return nil, "", false, unknownOption(arg, name, options)
}

// behind is the value that stands directly behind the option's short or legacy name.
func (o *option) behind(word string) (string, bool) {
	if o.joined == nil {
		return "", false
	}
	for _, name := range append(slices.Clone(o.legacy), o.short) {
		if rest, ok := strings.CutPrefix(word, name); ok && name != "" && o.joined(rest) {
			return rest, true
		}
	}
	return "", false
}

func unknownOption(arg, name string, options []option) error {
	var names []string
	for i := range options {
		o := &options[i]
		names = append(names, "--"+o.long)
		if o.short != "" {
			names = append(names, "-"+o.short)
		}
		for _, l := range o.legacy {
			names = append(names, "-"+l)
		}
	}
	dashes := arg[:len(arg)-len(strings.TrimLeft(arg, "-"))]
	if utf8.RuneCountInString(name) > 2 {
		if n := nearest("--"+name, names); n != "" {
			return fmt.Errorf("unknown option %s%s; did you mean %s?", dashes, name, n)
		}
	}
	return fmt.Errorf("unknown option %s%s", dashes, name)
}
