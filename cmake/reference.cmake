# The program's manual pages and shell completions, written by the program itself from the tables that --help prints.
if(CMAKE_CROSSCOMPILING AND NOT CMAKE_CROSSCOMPILING_EMULATOR)
    message(STATUS "reprise (the program): it cannot run here, so its manual pages and completions are left out")
    return()
endif()
set(RP_REFERENCE ${PROJECT_BINARY_DIR}/reference)
add_custom_command(OUTPUT ${RP_REFERENCE}/reprise ${RP_REFERENCE}/_reprise ${RP_REFERENCE}/man1/reprise.1
    COMMAND ${CMAKE_COMMAND} -E rm -rf ${RP_REFERENCE}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${RP_REFERENCE}/man1
    COMMAND reprise --reference ${RP_REFERENCE}
    DEPENDS reprise COMMENT "manual pages and completions" VERBATIM)
add_custom_target(reference ALL DEPENDS ${RP_REFERENCE}/reprise)
