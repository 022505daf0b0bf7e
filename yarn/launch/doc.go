// Package launch builds ContainerLaunchContexts: what a NodeManager needs to start one of our processes (Java:
// org.apache.hadoop.yarn.api.records.ContainerLaunchContext, Hadoop 3.3 to 3.5).
//
// Who calls it: the CLI for the ApplicationMaster, the AM for workers. Both give a Spec by value; Spec.Context is a
// pure function of it and may run anywhere.
//
// The NodeManager turns a context into launch_container.sh: values of the environment stand inside double quotes of
// that script, the command inside double quotes of `exec /bin/bash -c "…"`, and before either the markers <LOG_DIR>,
// <CPS>, <ADD_OPENS> and {{VAR}} are replaced. What always holds: whatever bytes (all but NUL) the Spec's values and
// arguments hold, the process sees exactly them; nothing in them is expanded by the NodeManager or by a shell. The
// process replaces its shells (exec), so that the container holds no more processes than needed: YARN's virtual
// memory check counts them all.
//
// Not here: which files and variables a role needs, their upload, and choosing the container's size.
package launch
