"use strict";

// Swagger UI: https://swagger.io/docs/open-source-tools/swagger-ui/usage/configuration/
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  defaultModelsExpandDepth: 0,
  deepLinking: true,
  displayRequestDuration: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
