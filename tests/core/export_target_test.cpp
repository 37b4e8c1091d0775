// SPDX-License-Identifier: Apache-2.0
#include "model_prep/core/export_target.h"

#include "support/catch.h"

using namespace model_prep;

TEST_CASE("a target is a kind, a folder and perhaps a tag") {
  const auto plain = parse_export_target("oci:/srv/images");
  REQUIRE(plain);
  CHECK(plain->folder == "/srv/images");
  CHECK(plain->tag == "latest");
  CHECK(plain->text() == "oci:/srv/images:latest");
  CHECK(parse_export_target("oci:images:2026-11")->tag == "2026-11");
}

TEST_CASE("the folder of plain files may have any name") {
  CHECK(parse_export_target("dir:/srv/a:b")->folder == "/srv/a:b");
  CHECK(parse_export_target("dir:/srv/a")->text() == "dir:/srv/a");
  CHECK(parse_export_target("dir-flat:/srv/a")->kind == ExportKind::dir_flat);
}

TEST_CASE("any other target is refused") {
  for (const char* text : {"", "oci", "oci:", "oci::tag", "oci:a:", "oci:a:b:c", "oci:a:b/c",
                           "docker:a", "dir:", "dir_flat:a", "/srv/images", "OCI:a"})
    CHECK_FALSE(parse_export_target(text));
}

TEST_CASE("a prefix is a directory of the image, with or without slashes at its ends") {
  CHECK(parse_image_prefix("hub") == "hub");
  CHECK(parse_image_prefix("/app/models/hub/") == "app/models/hub");
  CHECK(parse_image_prefix("/") == "");
  for (const char* text : {"", "..", "a/../b", "a//b", ".", "a\\b", "a\nb", "a/.wh.b"})
    CHECK_FALSE(parse_image_prefix(text));
}
