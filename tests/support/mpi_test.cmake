# SPDX-License-Identifier: Apache-2.0
# funnel_add_mpi_test(name ranks target [arguments...])
# A ctest entry that runs a program of this build on that many ranks, on any number of cores and
# also as root.
function(funnel_add_mpi_test name ranks target)
  add_test(NAME ${name}
           COMMAND ${MPIEXEC_EXECUTABLE} --oversubscribe ${MPIEXEC_NUMPROC_FLAG} ${ranks}
                   $<TARGET_FILE:${target}> ${ARGN})
  # Ranks that wait give their core away; a rank that never comes ends in the timeout.
  set_tests_properties(${name} PROPERTIES
    PROCESSORS ${ranks} TIMEOUT 120 LABELS mpi
    ENVIRONMENT "OMPI_ALLOW_RUN_AS_ROOT=1;OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1;OMPI_MCA_mpi_yield_when_idle=1")
endfunction()
