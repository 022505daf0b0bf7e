package cli

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/flott-dev/flott/conf"
	"github.com/flott-dev/flott/rpc/launchfile"
	"github.com/flott-dev/flott/rpc/plan"
	"github.com/flott-dev/flott/yarn/ipc"
	"github.com/flott-dev/flott/yarn/launch"
	"github.com/flott-dev/flott/yarn/rmclient"
	"github.com/flott-dev/flott/yarn/staging"
	"github.com/flott-dev/flott/yarn/yarnid"
)

// undoPatience bounds what a failed submission may take to leave nothing.
const undoPatience = 20 * time.Second

// yarnPort is what a submission asks of YARN.
type yarnPort interface {
	NewApplication(ctx context.Context) (rmclient.NewApplication, error)
	Nodes(ctx context.Context, states ...rmclient.NodeState) ([]rmclient.Node, error)
	Queue(ctx context.Context, name string) (rmclient.Queue, error)
	Submit(ctx context.Context, s *rmclient.Submission) (rmclient.Report, error)
	Kill(ctx context.Context, id yarnid.ApplicationID, diagnostics string) error
}

// filesPort is what a submission asks of the staging area.
type filesPort interface {
	Create(ctx context.Context, app yarnid.ApplicationID, rm string) error
	Publish(ctx context.Context, app yarnid.ApplicationID, d staging.Digest, src staging.Source, p staging.Progress) (staging.Resource, error)
	Upload(ctx context.Context, app yarnid.ApplicationID, name string, src staging.Source, p staging.Progress) (staging.Resource, error)
	Verify(ctx context.Context, r staging.Resource) error
	Clean(ctx context.Context, app yarnid.ApplicationID) error
	ApplicationDir(app yarnid.ApplicationID) string
	URI(path string) string
}

// deployment submits one job. Whatever it fails at, it leaves neither an application nor a file.
type deployment struct {
	*job
	yarn     yarnPort
	files    filesPort
	rmName   string
	progress staging.Progress

	plan     *plan.Plan
	planData []byte
	source   staging.Source
	digest   staging.Digest
	sizes    sizes
	app      yarnid.ApplicationID
}

// prepare does what needs no application id yet; the job's plan, the digest of its binary and YARN's answers are had at the same time.
func (d *deployment) prepare(ctx context.Context) error {
	var err error
	if d.source, err = staging.FileSource(d.binary); err != nil {
		return err
	}
	var fresh rmclient.NewApplication
	var nodes []rmclient.Node
	g, all := errgroup.WithContext(ctx)
	g.Go(func() (err error) { d.plan, d.planData, err = d.makePlan(all); return })
	g.Go(func() (err error) { d.digest, err = staging.Hash(all, d.source); return })
	g.Go(func() (err error) { fresh, err = d.yarn.NewApplication(all); return })
	g.Go(func() (err error) { nodes, err = d.yarn.Nodes(all, rmclient.NodeRunning); return })
	g.Go(func() error { return d.checkQueue(all) })
	if err := g.Wait(); err != nil {
		return err
	}
	d.app = fresh.ID
	if d.sizes, err = sizesOf(d.conf, d.hadoop, d.plan); err != nil {
		return err
	}
	if err := d.sizes.fit(fresh.MaxResource); err != nil {
		return err
	}
	for _, w := range d.sizes.mayWait(nodes) {
		d.warn(w)
	}
	return nil
}

// checkQueue refuses a queue that does not exist and whose parent, which could make it, does not exist either.
func (d *deployment) checkQueue(ctx context.Context) error {
	name := conf.YarnApplicationQueue.Get(d.conf)
	if name == "" {
		return nil
	}
	missing, err := d.noQueue(ctx, name)
	if !missing || err != nil {
		return err
	}
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		if missing, err = d.noQueue(ctx, name[:i]); err != nil {
			return err
		}
		if !missing {
			d.warn("queue " + name + " does not exist; YARN may create it")
			return nil
		}
	}
	text := fmt.Sprintf("queue %s does not exist", name)
	if root, err := d.yarn.Queue(ctx, "root"); err == nil && len(root.Children) > 0 {
		var names []string
		for _, q := range root.Children {
			names = append(names, q.Name)
		}
		text += " (there are " + strings.Join(names, ", ") + ")"
	}
	return errors.New(text)
}

// noQueue tells whether YARN answers that there is no such queue.
func (d *deployment) noQueue(ctx context.Context, name string) (bool, error) {
	_, err := d.yarn.Queue(ctx, name)
	if errors.Is(err, rmclient.ErrNoQueue) || errors.Is(err, ipc.ErrYARN) {
		return true, nil
	}
	return false, err
}

// submit stages the files and submits the application that prepare got an id for.
func (d *deployment) submit(ctx context.Context) (rmclient.Report, error) {
	r, asked, err := d.stageAndSubmit(ctx)
	if err == nil {
		return r, nil
	}
	if undone := d.undo(ctx, asked, err); undone != nil {
		err = fmt.Errorf("%w (and removing what was there failed: %w; `flott kill %s` tries again)", err, undone, d.app)
	}
	return r, err
}

// stageAndSubmit tells whether YARN was asked for the application.
func (d *deployment) stageAndSubmit(ctx context.Context) (r rmclient.Report, asked bool, err error) {
	if err := d.files.Create(ctx, d.app, d.rmName); err != nil {
		return r, false, err
	}
	binary, err := d.files.Publish(ctx, d.app, d.digest, d.source, d.progress)
	if err != nil {
		return r, false, err
	}
	data, err := d.job.launch(launchfile.File{
		Application: d.app.String(), ResourceManager: d.rmName, Plan: d.planData,
		StagingDir: d.files.URI(path.Dir(path.Dir(d.files.ApplicationDir(d.app)))),
		Binary:     launchfile.Artifact{URI: binary.URI, Size: binary.Size, ModTimeMillis: binary.ModTimeMillis},
	})
	if err != nil {
		return r, false, err
	}
	file, err := d.files.Upload(ctx, d.app, launchfile.Name, staging.BytesSource("launch file", data), nil)
	if err != nil {
		return r, false, err
	}
	s, err := d.submission(binary, file)
	if err != nil {
		return r, false, err
	}
	if err := d.files.Verify(ctx, binary); err != nil {
		return r, false, err
	}
	r, err = d.yarn.Submit(ctx, s)
	return r, true, err
}

// submission is what YARN is told.
func (d *deployment) submission(binary, file staging.Resource) (*rmclient.Submission, error) {
	context, err := d.launchSpec(binary, file).Context()
	if err != nil {
		return nil, err
	}
	c := d.conf
	s := &rmclient.Submission{
		ID: d.app, Name: d.name(), Type: conf.YarnApplicationType.Get(c), Queue: conf.YarnApplicationQueue.Get(c), Tags: conf.YarnTags.Get(c),
		Priority: int32(max(0, conf.YarnApplicationPriority.Get(c))), NodeLabel: conf.YarnApplicationNodeLabel.Get(c),
		// Without ZooKeeper nothing fences two AMs from each other, so there is one attempt, and its workers end with it.
		Resource: d.sizes.master, Launch: context, MaxAttempts: 1,
	}
	return s, nil
}

// name is the application's.
func (d *deployment) name() string {
	if n := conf.YarnApplicationName.Get(d.conf); n != "" {
		return n
	}
	return d.plan.Name
}

// launchSpec is the ApplicationMaster's container.
func (d *deployment) launchSpec(binary, file staging.Resource) launch.Spec {
	environment := map[string]string{"HADOOP_USER_NAME": d.user.Name, launchfile.Variable: "./" + launchfile.Name}
	for k, v := range conf.ContainerizedMasterEnv.Get(d.conf) {
		environment[k] = v
	}
	acls := map[launch.AccessType]string{}
	if v := conf.YarnViewACLs.Get(d.conf); v != "" {
		acls[launch.ViewApp] = v
	}
	if v := conf.YarnModifyACLs.Get(d.conf); v != "" {
		acls[launch.ModifyApp] = v
	}
	return launch.Spec{
		Role: launch.ApplicationMaster, Program: "./" + launchfile.Program, Environment: environment, ACLs: acls,
		Stdout: "jobmanager.out", Stderr: "jobmanager.err", Credentials: d.user.Credentials(),
		Resources: map[string]launch.Resource{
			launchfile.Program: {URI: binary.URI, Size: binary.Size, ModTimeMillis: binary.ModTimeMillis, Type: launch.File, Visibility: launch.Private},
			launchfile.Name:    {URI: file.URI, Size: file.Size, ModTimeMillis: file.ModTimeMillis, Type: launch.File, Visibility: launch.Application},
		},
	}
}

// undo removes what a failed submission left, also when the command is being interrupted.
func (d *deployment) undo(ctx context.Context, asked bool, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoPatience)
	defer cancel()
	var rejected *rmclient.RejectedError
	if asked && !errors.As(cause, &rejected) {
		err := d.yarn.Kill(ctx, d.app, "the submission failed: "+firstLine(cause.Error()))
		if err != nil && !errors.Is(err, ipc.ErrApplicationNotFound) {
			return err // its files stay for as long as it may run
		}
	}
	return d.files.Clean(ctx, d.app)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.TrimSpace(line)
}
