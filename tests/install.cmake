# Tests of what is installed: foreign projects against it, Debian packages, names exported, manual pages and completions.
set(installed ${PROJECT_BINARY_DIR}/installed)
set(foreign ${PROJECT_BINARY_DIR}/foreign)
if(TARGET reprise)
    set(with_program program)
endif()
add_test(NAME symbols COMMAND sh ${PROJECT_SOURCE_DIR}/tests/abi/symbols.sh $<TARGET_FILE:reprise_shared>
    $<TARGET_FILE:reprise_static> ${PROJECT_SOURCE_DIR}/tests/abi/symbols.txt)
add_test(NAME abi COMMAND sh ${PROJECT_SOURCE_DIR}/tests/abi/abidiff.sh $<TARGET_FILE:reprise_shared> ${PROJECT_SOURCE_DIR}
    ${PROJECT_BINARY_DIR}/abi)
set_tests_properties(abi PROPERTIES SKIP_RETURN_CODE 77)
if(TARGET reference)
    add_test(NAME reference COMMAND sh ${PROJECT_SOURCE_DIR}/tests/reference.sh $<TARGET_FILE:reprise> ${RP_REFERENCE})
endif()

add_test(NAME install COMMAND sh ${PROJECT_SOURCE_DIR}/tests/install/tree.sh ${PROJECT_BINARY_DIR} ${installed} ${with_program})
set_tests_properties(install PROPERTIES FIXTURES_SETUP installed)
if(NOT RP_CXX OR NOT CMAKE_GENERATOR MATCHES Ninja)
    message(STATUS "Tests: no C++ compiler or no Ninja, so no foreign projects are built")
    return()
endif()
foreach(how pkg-config find_package subdirectory)
    add_test(NAME foreign_${how} COMMAND sh ${PROJECT_SOURCE_DIR}/tests/install/foreign.sh ${how} ${PROJECT_SOURCE_DIR}
        ${foreign}/${how} ${installed} -DCMAKE_C_COMPILER=${CMAKE_C_COMPILER} -DCMAKE_CXX_COMPILER=${RP_CXX})
endforeach()
set_tests_properties(foreign_pkg-config foreign_find_package PROPERTIES FIXTURES_REQUIRED installed)

find_program(RP_DPKG_SHLIBDEPS dpkg-shlibdeps)
if(RP_DPKG_SHLIBDEPS)
    add_test(NAME deb COMMAND sh ${PROJECT_SOURCE_DIR}/tests/install/deb.sh ${PROJECT_BINARY_DIR} ${PROJECT_SOURCE_DIR} ${foreign}/deb
        ${PROJECT_VERSION} ${with_program})
else()
    message(STATUS "Tests: no dpkg-shlibdeps (Debian: dpkg-dev), so no packages are made")
endif()
