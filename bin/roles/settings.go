package roles

import (
	"log/slog"
	"runtime"
	"strings"
	"time"

	"github.com/flott-dev/flott/appmaster/jobmaster"
	"github.com/flott-dev/flott/appmaster/resourcemanager"
	"github.com/flott-dev/flott/appmaster/slotmanager"
	"github.com/flott-dev/flott/conf"
	"github.com/flott-dev/flott/rpc/gateway"
	"github.com/flott-dev/flott/rpc/heartbeat"
	"github.com/flott-dev/flott/rpc/registration"
	"github.com/flott-dev/flott/taskrunner/exchange"
)

// The functions here turn options into the settings of components; what depends on the process is filled in by the caller.

func heartbeatSettings(c *conf.Config) heartbeat.Config {
	return heartbeat.Config{
		Interval: conf.HeartbeatInterval.Get(c), Timeout: conf.HeartbeatTimeout.Get(c),
		Threshold: conf.HeartbeatRPCFailureThreshold.Get(c),
	}
}

func registrationSettings(c *conf.Config) registration.Config {
	return registration.Config{
		InitialTimeout: conf.RegistrationInitialTimeout.Get(c), MaxTimeout: conf.RegistrationMaxTimeout.Get(c),
		ErrorDelay: conf.RegistrationErrorDelay.Get(c), RefusedDelay: conf.RegistrationRefusedDelay.Get(c),
	}
}

func resourceManagerSettings(c *conf.Config, slotsPerWorker int) resourcemanager.Config {
	return resourcemanager.Config{
		Slots: slotmanager.Config{
			SlotsPerWorker: slotsPerWorker, MaxSlots: conf.MaxSlots.Get(c),
			RedundantWorkers: conf.RedundantTaskManagers.Get(c), IdleTimeout: conf.TaskManagerIdleTimeout.Get(c),
		},
		HeartbeatInterval: conf.HeartbeatInterval.Get(c), HeartbeatTimeout: conf.HeartbeatTimeout.Get(c),
		RegistrationTimeout: conf.TaskManagerRegistrationTimeoutRM.Get(c),
		MaxStartFailures:    conf.StartWorkerMaxFailureRate.Get(c), StartRetryInterval: conf.StartWorkerRetryInterval.Get(c),
		RecoveryTimeout: conf.PreviousWorkerRecoveryTimeout.Get(c), OpenTimeout: conf.AskTimeout.Get(c),
	}
}

func jobMasterSettings(c *conf.Config) jobmaster.Config {
	return jobmaster.Config{
		HeartbeatInterval: conf.HeartbeatInterval.Get(c), HeartbeatTimeout: conf.HeartbeatTimeout.Get(c),
		FailureThreshold:   conf.HeartbeatRPCFailureThreshold.Get(c),
		SlotRequestTimeout: conf.SlotRequestTimeout.Get(c), SlotIdleTimeout: conf.SlotIdleTimeout.Get(c),
		OpenTimeout: conf.AskTimeout.Get(c),
	}
}

// streamSettings bounds messages by pekko.framesize.
func streamSettings(c *conf.Config) gateway.StreamConfig {
	return gateway.StreamConfig{MaxMessage: int(conf.FrameSize.Get(c))}
}

// exchangeSettings without a listener; bufferTimeout as exchange.Config has it.
func exchangeSettings(c *conf.Config, log *slog.Logger) exchange.Config {
	timeout := time.Duration(-1)
	if conf.ExecutionBufferTimeoutEnabled.Get(c) {
		timeout = conf.ExecutionBufferTimeout.Get(c)
	}
	return exchange.Config{BufferTimeout: timeout, Log: log}
}

// limitProcs sets GOMAXPROCS only when the number of virtual cores was asked for: YARN does not enforce it otherwise.
func limitProcs(vcores int, isSet bool) {
	if isSet {
		runtime.GOMAXPROCS(max(2, vcores))
	}
}

// logLevel reads env.log.level.
func logLevel(c *conf.Config) slog.Level {
	switch strings.ToUpper(string(conf.EnvLogLevel.Get(c))) {
	case "TRACE", "DEBUG":
		return slog.LevelDebug
	case "WARN":
		return slog.LevelWarn
	case "ERROR", "FATAL", "OFF":
		return slog.LevelError
	}
	return slog.LevelInfo
}
