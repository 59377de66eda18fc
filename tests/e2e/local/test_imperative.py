"""See conftest.py of this folder."""

from tests.e2e.test_imperative import *  # noqa: F403 - every test, and its fixtures

# They tell replicas from each other by their processes, or speak of other processes.
test_the_same_version_and_code_apply_the_settings_alone = None
test_deployed_again_without_a_version_all_replicas_are_new = None
test_get_deployment_equals_the_original_and_deploys_again_with_the_same_arguments = None
test_another_process_finds_it_calls_it_and_cannot_deploy_to_it = None
# Whoever deploys an application that somebody deploys waits until that is done.
test_deploying_while_it_is_being_deployed_is_refused_and_names_it = None
