package hadoopconf

import (
	"os/user"

	"github.com/flott-dev/flott/conf"
)

// LoadEnv reads both configurations as the environment names them: that of conf.LoadEnv, and Hadoop's files, for which env.hadoop.conf.dir
// and env.yarn.conf.dir stand in for variables that are not set, and over which flink.hadoop.* and flink.yarn.* win. The texts are
// warnings; there may be some with an error too.
func LoadEnv(getenv func(string) string, dynamic ...conf.Setting) (*conf.Config, *Config, []string, error) {
	var texts []string
	c, warnings, err := conf.LoadEnv(getenv, dynamic...)
	for _, w := range warnings {
		texts = append(texts, w.String())
	}
	if err != nil {
		return nil, nil, texts, err
	}
	name := ""
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	hadoop, notices, err := Load(Source{
		Getenv: getenv, HadoopConfDir: conf.EnvHadoopConfDir.Get(c), YarnConfDir: conf.EnvYarnConfDir.Get(c),
		User: name, Overrides: c.HadoopOverrides(),
	})
	return c, hadoop, append(texts, notices...), err
}
